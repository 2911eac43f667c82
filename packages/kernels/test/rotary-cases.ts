// What the rotation is tried on, on every backend.
import { concat, rotary, rows, seededRandom, type NdArray } from '@mnemix/testkit';
import { tensor1d } from '@mnemix/tensor';
import { rotary as rotaryOp } from '../src/index.ts';
import { expectToMatch, float32, poison, runOp, runOracle } from './op-cases.ts';

export const rotaryCases = [
  { name: 'for one pair at the start', shape: [1, 1, 2], positions: [0], base: 10000 },
  { name: 'for odd numbers of pairs and heads', shape: [5, 3, 6], positions: [0, 1, 2, 0, 1], base: 100 },
  { name: 'for pairs that move in vectors', shape: [3, 2, 24], positions: [7, 8, 1000], base: 10000 },
  { name: 'far along, and backwards', shape: [4, 2, 16], positions: [65535, 40000, -3, -65535], base: 500 },
  { name: 'between tokens', shape: [2, 1, 8], positions: [0.5, 3.25], base: 10000 },
] as const;

/** Outputs and gradient against the oracle, which knows one position a row. */
export async function expectRotation({
  shape,
  positions,
  base,
}: (typeof rotaryCases)[number]): Promise<void> {
  const random = seededRandom(7);
  const [x, dy] = [float32(random.normals(shape)), float32(random.normals(shape))];
  const oracle = (a: NdArray): NdArray =>
    concat(positions.map((position, row) => rotary(rows(a, row, row + 1), position, base)));
  await poison([shape]);
  const actual = await runOp(
    { x },
    (t) => ({ y: rotaryOp({ x: t['x']!, positions: tensor1d([...positions]) }, { base }) }),
    { y: dy },
  );
  expectToMatch(
    actual,
    runOracle({ x }, (a) => ({ y: oracle(a['x']!) }), { y: dy }),
  );
}
