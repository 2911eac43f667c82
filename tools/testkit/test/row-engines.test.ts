import { describe, expect, it } from 'vitest';
import {
  centralDifferences,
  deltaRuleRows,
  deltaRuleRowsBackward,
  denseRanges,
  diagonalDecay,
  diagonalDecayRows,
  diagonalDecayRowsBackward,
  dot,
  map,
  nd,
  reshape,
  seededRandom,
  sliceHead,
  joinHeads,
  stack,
  type NdArray,
} from '../src/index.ts';

const random = seededRandom(21);
const [count, heads, dk, dv] = [9, 2, 3, 2];
/** A sequence of 4 rows, an empty one, one of 3; rows 0 and 5 belong to none. */
const ranges = [
  { start: 1, length: 4 },
  { start: 6, length: 0 },
  { start: 6, length: 3 },
];
const common = {
  q: random.normals([count, heads, dk]),
  k: random.normals([count, heads, dk], 0.6),
  v: random.normals([count, heads, dv]),
  initialState: random.normals([3, heads, dk, dv]),
};
const dO = random.normals([count, heads, dv]);
const dState = random.normals([3, heads, dk, dv]);
const loss = ({ o, state }: { o: NdArray; state: NdArray }): number => dot(o, dO) + dot(state, dState);

describe('the engines over rows', () => {
  it('equal the single-head engine on every head of a dense batch', () => {
    const [batch, tokens] = [3, 3];
    const split = (x: NdArray, b: number, h: number) =>
      sliceHead(reshape(x, [batch, tokens, ...x.shape.slice(1)]), b, h);
    const parts = [0, 1, 2].flatMap((b) =>
      [0, 1].map((h) =>
        diagonalDecay({
          q: map(split(common.q, b, h), (x) => x / Math.sqrt(dk)),
          k: split(common.k, b, h),
          v: split(common.v, b, h),
        }),
      ),
    );
    const { q, k, v } = common;
    const { o, state } = diagonalDecayRows({ q, k, v }, denseRanges(batch, tokens));
    const expected = joinHeads(
      parts.map((part) => part.output),
      batch,
      heads,
    );
    expect(o).toBeCloseRms(reshape(expected, [count, heads, dv]), 1e-15, 0);
    const states = stack(parts.map((part) => part.finalState));
    expect(state).toBeCloseRms(reshape(states, [batch, heads, dk, dv]), 1e-15, 0);
  });

  it('write zeros to rows of no sequence and hand the state of an empty one through', () => {
    const { o, state } = diagonalDecayRows(common, ranges);
    for (const row of [0, 5])
      expect(o.data.subarray(row * heads * dv, (row + 1) * heads * dv)).toBeCloseRms(nd([4]), 0, 0);
    const size = heads * dk * dv;
    expect(state.data.subarray(size, 2 * size)).toBeCloseRms(
      common.initialState.data.subarray(size, 2 * size),
      0,
      0,
    );
  });

  it.each([
    [
      'a bonus and a vector gate',
      { logDecay: random.uniforms([count, heads, dk], -1, 0), bonus: random.normals([heads, dk]) },
    ],
    ['a scalar gate', { logDecay: random.uniforms([count, heads], -1, 0) }],
    ['no gate', {}],
  ])('give the gradients of diagonal decay with %s', (_, extra) => {
    const inputs = { ...common, ...extra } as typeof common;
    const expected = centralDifferences(
      (current) => loss(diagonalDecayRows(current, ranges, { scale: 0.7 })),
      inputs,
    );
    const gradients = diagonalDecayRowsBackward(inputs, ranges, dO, dState, { scale: 0.7 });
    for (const name of Object.keys(inputs) as (keyof typeof common)[]) {
      expect(gradients[name], name).toBeCloseRms(expected[name], 1e-8, 0);
    }
  });

  it.each([
    [
      'β and a gate',
      { beta: random.uniforms([count, heads], 0, 2), logDecay: random.uniforms([count, heads], -1, 0) },
      false,
    ],
    [
      'its own erase key that reads before the decay',
      {
        beta: random.uniforms([count, heads], 0, 1),
        erase: random.normals([count, heads, dk], 0.5),
        logDecay: random.uniforms([count, heads, dk], -1, 0),
      },
      true,
    ],
    ['neither β nor gate', {}, false],
  ])('give the gradients of the delta rule with %s', (_, extra, eraseBeforeDecay) => {
    const inputs = { ...common, ...extra } as typeof common;
    const expected = centralDifferences(
      (current) => loss(deltaRuleRows(current, ranges, { eraseBeforeDecay })),
      inputs,
    );
    const gradients = deltaRuleRowsBackward(inputs, ranges, dO, dState, { eraseBeforeDecay });
    for (const name of Object.keys(inputs) as (keyof typeof common)[]) {
      expect(gradients[name], name).toBeCloseRms(expected[name], 1e-8, 0);
    }
  });
});
