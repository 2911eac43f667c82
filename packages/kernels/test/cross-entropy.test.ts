import { crossEntropy as oracle, nd, seededRandom } from '@mnemix/testkit';
import { openBackend, tensor, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { crossEntropy } from '../src/index.ts';
import { expectToMatch, float32, int32, runOp, type Arrays } from './op-cases.ts';

describe.each(['cpu', 'wasm'] as const)('crossEntropy on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  const run = (logits: Arrays[string], targets: readonly number[], ignoreIndex?: number) =>
    runOp(
      { logits },
      (t) => ({ ...crossEntropy({ logits: t['logits']!, targets: int32(targets) }, { ignoreIndex }) }),
      {
        loss: nd([], [1.5]),
      },
    );

  it.each([
    [1, 2],
    [5, 3],
    [7, 64],
    [33, 65],
    [6, 130],
  ])('matches the oracle for [%i, %i]', async (rows, classes) => {
    const random = seededRandom(4);
    const logits = float32(random.normals([rows, classes], 3));
    const targets = Array.from({ length: rows }, (_, i) => (i % 4 === 1 ? -100 : random.integer(classes)));
    const { loss, gradient } = oracle(logits, targets);
    const actual = await run(logits, targets);
    expectToMatch(actual, {
      outputs: { loss: nd([], [loss]), counted: nd([], [targets.filter((t) => t !== -100).length]) },
      gradients: {
        logits: nd(
          gradient.shape,
          gradient.data.map((x) => 1.5 * x),
        ),
      },
    });
  });

  it('counts a row as correct if its target is the first of the largest logits', async () => {
    const logits = nd([4, 5], [1, 2, 0, 0, 2, /**/ 1, 2, 0, 0, 2, /**/ 0, 0, 0, 0, 9, /**/ 3, 1, 1, 1, 1]);
    const { outputs } = await run(logits, [1, 4, 4, -100]);
    expect([outputs['correct']!.data[0], outputs['counted']!.data[0]]).toEqual([2, 3]);
  });

  it('treats a target out of range like an ignored one, and an ignored row may hold anything', async () => {
    const logits = nd([4, 3], [NaN, NaN, NaN, /**/ 1, 2, 3, /**/ 4, 5, 6, /**/ 1, 1, 0]);
    const { outputs, gradients } = await run(logits, [-1, 3, 2 ** 30, 1], 2 ** 30);
    const expected = oracle(nd([1, 3], [1, 1, 0]), [1]);
    expect(outputs['loss']!.data[0]).toBeCloseTo(expected.loss, 6);
    expect(outputs['counted']!.data[0]).toBe(1);
    expect(Array.from(gradients['logits']!.data.subarray(0, 9))).toEqual(Array(9).fill(0));
    expect(Array.from(gradients['logits']!.data.subarray(9))).toBeCloseRms(
      Array.from(expected.gradient.data, (x) => 1.5 * x),
      1e-5,
    );
  });

  it('gives 0 and no gradient where no row counts', async () => {
    for (const rows of [3, 0]) {
      const { outputs, gradients } = await run(
        nd([rows, 4], new Float64Array(4 * rows).fill(2)),
        Array(rows).fill(-100),
      );
      expect([outputs['loss']!.data[0], outputs['correct']!.data[0], outputs['counted']!.data[0]]).toEqual([
        0, 0, 0,
      ]);
      expect(Array.from(gradients['logits']!.data)).toEqual(Array(4 * rows).fill(0));
    }
  });

  it('stays exact for large logits and for impossible classes', async () => {
    const logits = nd(
      [3, 4],
      [1000, 999, -1000, 0, /**/ -Infinity, 1, 0, -Infinity, /**/ 1e4, 1e4, 1e4, 1e4],
    );
    const { outputs, gradients } = await run(logits, [1, 1, 2]);
    const losses = [Math.log1p(Math.E), Math.log1p(Math.exp(-1)), Math.log(4)];
    expect(outputs['loss']!.data[0]).toBeCloseTo((losses[0]! + losses[1]! + losses[2]!) / 3, 5);
    expect(gradients['logits']!.data.every(Number.isFinite)).toBe(true);
  });

  it('hands on a NaN that counts', async () => {
    const { outputs } = await run(nd([2, 3], [1, NaN, 2, 0, 0, 0]), [0, 1]);
    expect(outputs['loss']!.data[0]).toBeNaN();
  });

  it('names the argument of a wrong shape or dtype', () => {
    expect(() => crossEntropy({ logits: zeros([2, 3]), targets: int32([1]) })).toThrow(
      /crossEntropy\(targets\): expected shape/,
    );
    expect(() => crossEntropy({ logits: zeros([2, 3]), targets: tensor([1, 2]) })).toThrow(
      /expected int32, found float32/,
    );
  });
});
