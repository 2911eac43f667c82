// What embeddings are tried on, on every backend.
import { nd, seededRandom, type NdArray } from '@mnemix/testkit';
import { embedding } from '../src/index.ts';
import { expectToMatch, float32, int32, poison, runOp } from './op-cases.ts';

export interface EmbeddingCase {
  readonly name: string;
  readonly rows: number;
  readonly width: number;
  readonly ids: readonly number[];
}

const random = seededRandom(21);
const draw = (count: number, rows: number): number[] =>
  Array.from({ length: count }, () => random.integer(rows));

export const embeddingCases: readonly EmbeddingCase[] = [
  { name: 'one token', rows: 1, width: 1, ids: [0] },
  { name: 'rows that no token has, and no row', rows: 9, width: 7, ids: [3, -1, 3, 8, -1, 0, 3] },
  { name: 'rows in vectors', rows: 40, width: 12, ids: draw(70, 40) },
  { name: 'rows wider than a workgroup', rows: 5, width: 140, ids: [4, 2, 4, 4, 0] },
  {
    name: 'a row that most tokens have',
    rows: 300,
    width: 8,
    ids: [...Array<number>(90).fill(17), ...draw(30, 300)],
  },
  {
    name: 'more rows than there are workgroups',
    rows: 5000,
    width: 1,
    ids: Array.from({ length: 5000 }, (_, n) => n),
  },
  { name: 'nothing but padding', rows: 3, width: 4, ids: [-1, -1] },
];

/** Outputs and gradient by the definition. */
export async function expectEmbedding({ rows, width, ids }: EmbeddingCase): Promise<void> {
  const weight = float32(random.normals([rows, width]));
  const dy = float32(random.normals([ids.length, width]));
  const [y, gradient] = [nd(dy.shape), nd(weight.shape)];
  const row = (of: NdArray, n: number) => of.data.subarray(n * width, (n + 1) * width);
  ids.forEach((id, n) => {
    if (id < 0) return;
    y.data.set(row(weight, id), n * width);
    row(dy, n).forEach((slope, c) => void (gradient.data[id * width + c]! += slope));
  });
  await poison([weight.shape, dy.shape]);
  const actual = await runOp(
    { weight },
    (t) => ({ y: embedding({ weight: t['weight']!, ids: int32(ids) }) }),
    { y: dy },
  );
  expectToMatch(actual, { outputs: { y }, gradients: { weight: gradient } });
}
