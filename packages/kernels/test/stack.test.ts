import { nd, seededRandom } from '@mnemix/testkit';
import { openBackend, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { stackParts } from '../src/index.ts';
import { float32, runOp } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('stackParts on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  it.each([1, 3])('stacks %i parts, and gives each its own gradient', async (count) => {
    const random = seededRandom(5);
    const parts = Array.from({ length: count }, () => float32(random.normals([2, 3])));
    const dy = float32(random.normals([count, 2, 3]));
    const inputs = Object.fromEntries(parts.map((part, i) => [`p${i}`, part]));
    const { outputs, gradients } = await runOp(inputs, (t) => ({ y: stackParts(Object.values(t)) }), {
      y: dy,
    });
    const whole = nd(
      [count, 2, 3],
      parts.flatMap(({ data }) => [...data]),
    );
    expect(outputs['y']).toEqual(whole);
    parts.forEach((_, i) => {
      expect(gradients[`p${i}`]).toEqual(nd([2, 3], dy.data.slice(6 * i, 6 * i + 6)));
    });
  });

  it('says what is wrong with its parts', () => {
    expect(() => stackParts([])).toThrow(/stackParts\(parts\): there are none/);
    expect(() => stackParts([zeros([2]), zeros([3])])).toThrow(/stackParts\(part1\): expected shape \[2\]/);
  });
});
