import { memory, openBackend, tensor, type Tensor } from '@mnemix/tensor';
import { beforeAll, expect, it } from 'vitest';
import {
  batchSequences,
  packedSequences,
  repeatedSequences,
  segmentsOfMask,
  uniformSequences,
  type Sequences,
} from '../src/index.ts';
import { chunkLayout } from '../src/portable/chunk-layout.ts';

beforeAll(() => openBackend('cpu'));

const read = async (x: Tensor) => Array.from(await x.data());

const values = async ({ starts, lengths, rowSequence }: Sequences) => ({
  starts: await read(starts),
  lengths: await read(lengths),
  rowSequence: await read(rowSequence),
});

const documents = [
  { row: 0, start: 1, length: 2 },
  { row: 1, start: 0, length: 0 },
  { row: 1, start: 2, length: 2 },
];

it('lays a dense batch out row by row', async () => {
  const sequences = uniformSequences(2, 3);
  expect(sequences).toMatchObject({ rows: 6, count: 2, maxLength: 3, isFull: true });
  expect(sequences.uniform).toEqual({ batch: 2, tokens: 3 });
  expect(await values(sequences)).toEqual({
    starts: [0, 3],
    lengths: [3, 3],
    rowSequence: [0, 0, 0, 1, 1, 1],
  });
});

it('marks rows outside of every segment as padding', async () => {
  const sequences = packedSequences(2, 4, documents);
  expect(sequences).toMatchObject({ rows: 8, count: 3, maxLength: 2, isFull: false });
  expect(sequences.uniform).toBeUndefined();
  expect(await values(sequences)).toEqual({
    starts: [1, 4, 6],
    lengths: [2, 0, 2],
    rowSequence: [-1, 0, 0, -1, -1, -1, 2, 2],
  });
});

it('knows that no row is padding where segments fill the batch', () => {
  const segments = [
    { row: 0, start: 0, length: 1 },
    { row: 0, start: 1, length: 3 },
  ];
  expect(packedSequences(1, 4, segments).isFull).toBe(true);
});

it('refuses segments that overlap or leave their row', () => {
  expect(() => packedSequences(1, 4, [{ row: 0, start: 2, length: 3 }])).toThrow('segments[0]');
  expect(() => packedSequences(1, 4, [{ row: 1, start: 0, length: 1 }])).toThrow('segments[0]');
  expect(() => packedSequences(1, 4, [documents[0]!, documents[0]!])).toThrow('overlaps');
});

it('is dense unless segments are given', () => {
  expect(batchSequences(2, 3).uniform).toEqual({ batch: 2, tokens: 3 });
  expect(batchSequences(2, 4, documents).count).toBe(3);
});

it.each(['cpu', 'wasm'] as const)(
  'repeats every row of its sequences, padding included, on %s',
  async (backend) => {
    await openBackend(backend);
    const before = uniformSequences(2, 2);
    const tensors = memory().numTensors;
    const dense = repeatedSequences(before, 3);
    expect(memory().numTensors).toBe(tensors + 3);
    expect(dense).toMatchObject({ rows: 12, count: 2, maxLength: 6, uniform: { batch: 2, tokens: 6 } });
    expect(await values(dense)).toEqual(await values(uniformSequences(2, 6)));
    const packed = repeatedSequences(packedSequences(2, 4, documents), 2);
    expect(packed).toMatchObject({ rows: 16, count: 3, maxLength: 4 });
    expect(packed.uniform).toBeUndefined();
    for (const { dtype } of [packed.starts, packed.lengths, packed.rowSequence]) expect(dtype).toBe('int32');
    expect(await values(packed)).toEqual({
      starts: [2, 8, 12],
      lengths: [4, 0, 4],
      rowSequence: [-1, -1, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, 2, 2, 2, 2],
    });
    await openBackend('cpu');
  },
);

it('repeats rows a whole number of times', () => {
  const sequences = uniformSequences(1, 2);
  expect(repeatedSequences(sequences, 1)).toBe(sequences);
  expect(() => repeatedSequences(sequences, 0)).toThrow('repeatedSequences(times): it is 0');
  expect(() => repeatedSequences(sequences, 1.5)).toThrow('repeatedSequences(times): it is 1.5');
});

it('finds the segment of each row of a padding mask, on either side', () => {
  expect(
    segmentsOfMask([
      [1, 1, 0],
      [0, 1, 1],
      [0, 0, 0],
    ]),
  ).toEqual([
    { row: 0, start: 0, length: 2 },
    { row: 1, start: 1, length: 2 },
    { row: 2, start: 0, length: 0 },
  ]);
  expect(() => segmentsOfMask([[1, 0, 1]])).toThrow('mask[0]');
});

it.each([
  ['dense', undefined],
  [
    'packed',
    [
      { row: 0, start: 0, length: 7 },
      { row: 1, start: 1, length: 3 },
      { row: 1, start: 4, length: 1 },
    ],
  ],
])('takes rows of a %s batch to chunks and back', async (_, segments) => {
  const sequences = batchSequences(2, 7, segments);
  const x = tensor(
    Float32Array.from({ length: 14 * 2 * 3 }, (__, i) => i + 1),
    [14, 2, 3],
  );
  const layout = chunkLayout(sequences, 2, 4);
  const chunks = layout.split(x);
  expect(chunks.shape).toEqual([2 * sequences.count * 2, 4, 3]);
  const owner = await read(sequences.rowSequence);
  const wanted = (await read(x)).map((value, i) => (owner[Math.floor(i / 6)]! < 0 ? 0 : value));
  expect(await read(layout.join(chunks))).toEqual(wanted);
});
