import { describeOnWebgpu, nd, seededRandom } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { joinRows } from '../../src/index.ts';
import { float32, runOp } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('joinRows', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  // Widths that move in vectors and not; more parts than a stage has buffers for.
  it.each([
    [[2], 4],
    [[1, 3, 2], 3],
    [[300, 1, 7], 4],
    // More than a workgroup moves at a time, in packs and not.
    [[1030, 1, 2050], 4],
    [[2, 350], 3],
    [Array.from({ length: 23 }, (_, i) => 1 + (i % 3)), 4],
  ])('joins parts of %j rows, %i wide, and gives each its own gradient', async (rows, width) => {
    const random = seededRandom(5);
    const parts = rows.map((own) => float32(random.normals([own, width])));
    const total = rows.reduce((a, b) => a + b);
    const dy = float32(random.normals([total, width]));
    const inputs = Object.fromEntries(parts.map((part, i) => [`p${i}`, part]));
    const { outputs, gradients } = await runOp(inputs, (t) => ({ y: joinRows(Object.values(t)) }), {
      y: dy,
    });
    expect(outputs['y']).toEqual(
      nd(
        [total, width],
        parts.flatMap(({ data }) => [...data]),
      ),
    );
    let start = 0;
    rows.forEach((own, i) => {
      const slopes = dy.data.slice(width * start, width * (start + own));
      expect(gradients[`p${i}`]).toEqual(nd([own, width], slopes));
      start += own;
    });
  });
});
