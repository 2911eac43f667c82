// The plan in tensor ops, without a host read-back. Counts are in float32, exact up to 2^24 copies.
import {
  add,
  cast,
  concat,
  cumsum,
  div,
  expandDims,
  fill,
  floor,
  gatherRows,
  greater,
  greaterEqual,
  mul,
  oneHot,
  range,
  reshape,
  scatterAddRows,
  slice,
  stack,
  sub,
  sum,
  transpose,
  where,
  zeros,
  zerosLike,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';

export type Inputs = { choices: Tensor; starts: Tensor; lengths: Tensor; rowSequence: Tensor };
export type Outputs = {
  source: Tensor;
  position: Tensor;
  starts: Tensor;
  lengths: Tensor;
  rowBucket: Tensor;
  groupStarts: Tensor;
  groupLengths: Tensor;
  rowGroup: Tensor;
};
export interface Attrs {
  /** Of all, the shared one among them. */
  readonly memories: number;
  /** Every token chooses the last memory besides. */
  readonly isShared: boolean;
}

export const outputNames = [
  'source',
  'position',
  'starts',
  'lengths',
  'rowBucket',
  'groupStarts',
  'groupLengths',
  'rowGroup',
] as const;

export function forward(
  { choices: given, starts, lengths, rowSequence }: Inputs,
  { memories, isShared }: Attrs,
): Outputs {
  const shared = isShared ? [fill([given.shape[0] as number, 1], memories - 1, 'int32') as Tensor2D] : [];
  const choices = concat([given as Tensor2D, ...shared], 1);
  const count = starts.size;
  const isReal = cast(greaterEqual(rowSequence, 0), 'float32');
  const chosen = mul(oneHot(choices, memories), reshape(isReal, [-1, 1, 1]));
  const hits = sum(chosen, 1);
  const hitsUpTo = cumsum(hits, 0);
  // Row r: hits of all rows before r, over all sequences; row R: of all rows.
  const hitsBefore = concat([zeros([1, memories]), hitsUpTo], 0);
  const atStart = gatherRows(hitsBefore, starts);
  const counts = sub(gatherRows(hitsBefore, cast(add(starts, lengths), 'int32')), atStart);
  const bucketLengths = reshape(transpose(counts), [-1]);
  const bucketStarts = cumsum(bucketLengths, 0, { exclusive: true });
  const groupLengths = sum(counts, 0);
  const groupStarts = cumsum(groupLengths, 0, { exclusive: true });

  // Row r's place in memory m, wherever r chose m: the start of the bucket + hits of m earlier in the
  // sequence.
  const base = sub(transpose(reshape(bucketStarts, [memories, count])), atStart);
  const place = add(gatherRows(base, rowSequence), sub(hitsUpTo, hits));
  const isRouted = greater(sum(chosen, -1), 0);
  const pick = (values: Tensor): Tensor => where(isRouted, values, sub(zerosLike(values), 1));
  const position = int32(pick(sum(mul(chosen, expandDims(place, 1)), -1)));
  const bucket = int32(
    pick(add(mul(cast(choices, 'float32'), count), expandDims(cast(rowSequence, 'float32'), -1))),
  );
  const { source, rowBucket } = invert(position, bucket);
  // Half a bucket more keeps the quotient clear of whole numbers, where a device's division may fall short.
  const rowGroup = floor(div(add(cast(rowBucket, 'float32'), 0.5), Math.max(1, count)));
  return {
    source,
    position,
    starts: int32(bucketStarts),
    lengths: int32(bucketLengths),
    rowBucket,
    groupStarts: int32(groupStarts),
    groupLengths: int32(groupLengths),
    rowGroup: int32(rowGroup),
  };
}

/** What lies in each bucket row: the token row, and the bucket; −1 where nothing lies. The one step that has to scatter. */
function invert(position: Tensor, bucket: Tensor): { source: Tensor; rowBucket: Tensor } {
  const [rows = 0, chosen = 0] = position.shape;
  const copies = rows * chosen;
  const row = reshape(add(zeros([rows, chosen]), reshape(range(0, rows), [rows, 1])), [copies]);
  // One more than the value: rows that nothing is added to become −1.
  const values = add(stack([row, reshape(cast(bucket, 'float32'), [copies])], 1), 1);
  const found = int32(sub(scatterAddRows(values, reshape(position, [copies]), copies), 1));
  const column = (i: number): Tensor => reshape(slice(found, [0, i], [copies, 1]), [copies]);
  return { source: column(0), rowBucket: column(1) };
}

const int32 = (x: Tensor): Tensor => cast(x, 'int32');
