import {
  crossEntropy as oracle,
  describeOnWebgpu,
  map,
  nd,
  seededRandom,
  type NdArray,
} from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { crossEntropy } from '../../src/index.ts';
import { expectToMatch, float32, int32, poison, runOp } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const upstream = { loss: nd([], [1.5]) };

const run = async (logits: NdArray, targets: readonly number[], ignoreIndex?: number) => {
  await poison([logits.shape, [targets.length], [], [1, 4], [2, 4]]);
  return runOp(
    { logits },
    (t) => ({ ...crossEntropy({ logits: t['logits']!, targets: int32(targets) }, { ignoreIndex }) }),
    upstream,
  );
};

describeOnWebgpu('crossEntropy', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  // Rows and classes below, at and above what a workgroup has slots and lanes for, also beyond the reads in flight.
  it.each([
    [1, 2],
    [300, 8],
    [33, 65],
    [2, 1032],
    [2, 1029],
    [1, 4104],
  ])('matches the oracle for [%i, %i]', async (rows, classes) => {
    const random = seededRandom(4);
    const logits = float32(random.normals([rows, classes], 3));
    const isIgnored = (row: number) => row % 4 === 1;
    // Some of them hits.
    const largest = (row: number) => {
      const values = logits.data.subarray(row * classes, (row + 1) * classes);
      return values.indexOf(Math.max(...values));
    };
    const targets = Array.from({ length: rows }, (_, row) =>
      isIgnored(row) ? -100 : row % 3 === 0 ? largest(row) : random.integer(classes),
    );
    const counted = targets.filter((target) => target !== -100).length;
    const correct = targets.filter((target, row) => target === largest(row)).length;
    const { loss, gradient } = oracle(logits, targets);
    expectToMatch(await run(logits, targets), {
      outputs: { loss: nd([], [loss]), counted: nd([], [counted]), correct: nd([], [correct]) },
      gradients: { logits: map(gradient, (x) => 1.5 * x) },
    });
  });

  it.each([4, 5])('counts a hit for the first of the largest of %i logits', async (classes) => {
    const rows = [
      { logits: [1, 2, 0, 2, 0], target: 1 },
      { logits: [1, 2, 0, 2, 0], target: 3 },
      { logits: [0, 0, 0, 9, 0], target: 3 },
      { logits: [3, 1, 1, 1, 1], target: -100 },
    ];
    const logits = nd(
      [4, classes],
      rows.flatMap((row) => row.logits.slice(0, classes)),
    );
    const { outputs } = await run(
      logits,
      rows.map(({ target }) => target),
    );
    expect([outputs['correct']!.data[0], outputs['counted']!.data[0]]).toEqual([2, 3]);
  });

  it('leaves rows out whose target is no class, whatever they hold', async () => {
    const logits = nd([4, 3], [NaN, NaN, NaN, /**/ 1, 2, 3, /**/ 4, 5, 6, /**/ 1, 1, 0]);
    const { outputs, gradients } = await run(logits, [-1, 3, 2 ** 30, 1], 2 ** 30);
    const wanted = oracle(nd([1, 3], [1, 1, 0]), [1]);
    expect(outputs['loss']!.data[0]).toBeCloseTo(wanted.loss, 6);
    expect(outputs['counted']!.data[0]).toBe(1);
    expect(Array.from(gradients['logits']!.data.subarray(0, 9))).toEqual(Array(9).fill(0));
    const counted = nd([3], gradients['logits']!.data.subarray(9));
    expect(counted).toBeCloseRms(nd([3], map(wanted.gradient, (x) => 1.5 * x).data), 1e-5);
  });

  it('gives 0 and no gradient where no row counts', async () => {
    const { outputs, gradients } = await run(nd([3, 4], Array(12).fill(2)), Array(3).fill(-100));
    for (const name of ['loss', 'correct', 'counted']) expect(outputs[name]!.data[0]).toBe(0);
    expect(Array.from(gradients['logits']!.data)).toEqual(Array(12).fill(0));
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

  it('gives the same bits every time', async () => {
    const random = seededRandom(9);
    const logits = float32(random.normals([700, 12]));
    const targets = Array.from({ length: 700 }, () => random.integer(12));
    const first = await run(logits, targets);
    expect(await run(logits, targets)).toEqual(first);
  });
});
