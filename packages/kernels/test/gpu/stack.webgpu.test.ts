import { describeOnWebgpu, nd, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { stackParts } from '../../src/index.ts';
import { float32, runOp } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('stackParts', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  // Widths that move in vectors and not; more parts than a stage has buffers for.
  it.each([
    [1, 4],
    [5, 3],
    [5, 8],
    [23, 4],
  ])('stacks %i parts of %i numbers, and gives each its own gradient', async (count, width) => {
    const random = seededRandom(5);
    const parts = Array.from({ length: count }, () => float32(random.normals([width])));
    const dy = float32(random.normals([count, width]));
    const inputs = Object.fromEntries(parts.map((part, i) => [`p${i}`, part]));
    const { outputs, gradients } = await runOp(inputs, (t) => ({ y: stackParts(Object.values(t)) }), {
      y: dy,
    });
    expect(outputs['y']).toEqual(
      nd(
        [count, width],
        parts.flatMap(({ data }) => [...data]),
      ),
    );
    parts.forEach((_, i) => {
      expect(gradients[`p${i}`]).toEqual(nd([width], dy.data.slice(width * i, width * (i + 1))));
    });
  });
});
