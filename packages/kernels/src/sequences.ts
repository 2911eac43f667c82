// Where sequences lie in the rows of a flat tensor: the one notion behind dense batches, packed documents, padding
// and the buckets of a Mixture-of-Memories.
import {
  checkConfig,
  checkCount,
  expandDims,
  mul,
  reshape,
  scalar,
  tensor1d,
  tidy,
  tile,
  type Tensor1D,
} from '@mnemix/tensor';

/** Contiguous runs of rows, each in time order. Rows outside of every run are padding. */
export interface Sequences {
  /** Rows of the tensors that this describes. */
  readonly rows: number;
  /** Number of sequences; some may be empty. */
  readonly count: number;
  /** No sequence is longer than this. Known without reading `lengths` back from the device. */
  readonly maxLength: number;
  /** First row of each sequence, int32 [count]. */
  readonly starts: Tensor1D;
  /** Rows of each sequence, int32 [count]. */
  readonly lengths: Tensor1D;
  /** Sequence of each row, or −1, int32 [rows]. */
  readonly rowSequence: Tensor1D;
  /** Set where it is known, without reading back, that no row is padding. */
  readonly isFull?: boolean;
  /** Set where sequence b is exactly the rows b·tokens … (b+1)·tokens−1: a dense batch. */
  readonly uniform?: { readonly batch: number; readonly tokens: number };
}

/** A document inside a batch [B, T]: `length` tokens of row `row`, from token `start` on. */
export interface Segment {
  readonly row: number;
  readonly start: number;
  readonly length: number;
}

/** The documents of a packed batch. Tokens outside of every segment are padding: they are neither written nor read. */
export type Segments = readonly Segment[];

const int32 = (values: Int32Array | number[]): Tensor1D =>
  tensor1d(values instanceof Int32Array ? values : Int32Array.from(values), 'int32');

/** The sequences of a dense batch of B rows of T tokens, flattened to B·T rows. */
export function uniformSequences(batch: number, tokens: number): Sequences {
  const rows = batch * tokens;
  const starts = Array.from({ length: batch }, (_, b) => b * tokens);
  // Every layer asks: filled by the run, not by the row, and not copied.
  const rowSequence = new Int32Array(rows);
  starts.forEach((start, b) => rowSequence.fill(b, start, start + tokens));
  return {
    rows,
    count: batch,
    maxLength: tokens,
    starts: int32(starts),
    lengths: int32(new Int32Array(batch).fill(tokens)),
    rowSequence: int32(rowSequence),
    isFull: true,
    uniform: { batch, tokens },
  };
}

/**
 * The sequences of a packed or padded batch [batch, tokens], in the order of `segments`.
 *
 * @throws MnemixError `config` where segments overlap or leave the batch
 */
export function packedSequences(batch: number, tokens: number, segments: Segments): Sequences {
  const rowSequence = new Int32Array(batch * tokens).fill(-1);
  segments.forEach(({ row, start, length }, sequence) => {
    const where = `segments[${sequence}]`;
    checkConfig(
      row >= 0 && row < batch && start >= 0 && length >= 0 && start + length <= tokens,
      where,
      `{ row: ${row}, start: ${start}, length: ${length} } does not lie in a batch of ${batch} × ${tokens} tokens.`,
      'Keep every segment inside of its row.',
    );
    const first = row * tokens + start;
    const taken = rowSequence.subarray(first, first + length);
    checkConfig(
      taken.every((s) => s === -1),
      where,
      'it overlaps an earlier segment.',
      'Let segments share no token.',
    );
    taken.fill(sequence);
  });
  return {
    rows: batch * tokens,
    count: segments.length,
    maxLength: segments.reduce((longest, { length }) => Math.max(longest, length), 0),
    starts: int32(segments.map(({ row, start }) => row * tokens + start)),
    lengths: int32(segments.map(({ length }) => length)),
    rowSequence: int32(rowSequence),
    isFull: segments.reduce((sum, { length }) => sum + length, 0) === batch * tokens,
  };
}

/** The sequences of a batch: dense, unless segments are given. */
export const batchSequences = (batch: number, tokens: number, segments?: Segments): Sequences =>
  segments ? packedSequences(batch, tokens, segments) : uniformSequences(batch, tokens);

/**
 * Segments of a padding mask: each row's run of non-zero entries, wherever it begins (left or right padding).
 *
 * @param mask [B][T], 1 for a token, 0 for padding
 * @throws MnemixError `config` where a row has a gap
 */
export function segmentsOfMask(mask: readonly (readonly number[])[]): Segments {
  return mask.map((row, index) => {
    const start = Math.max(
      0,
      row.findIndex((entry) => entry !== 0),
    );
    const length = row.filter((entry) => entry !== 0).length;
    checkConfig(
      row.slice(start, start + length).every((entry) => entry !== 0),
      `mask[${index}]`,
      'there is padding between tokens.',
      'Pad on one side only, or pass segments for packed documents.',
    );
    return { row: index, start, length };
  });
}

/**
 * The same sequences where every row has become `times` rows: what a memory that takes several steps for each
 * token runs along. Nothing is read back from the device.
 *
 * @throws MnemixError `config` unless `times` is a whole number from 1 on
 */
export function repeatedSequences(sequences: Sequences, times: number): Sequences {
  checkCount('repeatedSequences(times)', times);
  if (times === 1) return sequences;
  const { rows, count, maxLength, starts, lengths, rowSequence, isFull, uniform } = sequences;
  const tensors = tidy(() => {
    const factor = scalar(times, 'int32');
    const owners = tile(expandDims(rowSequence, 1), [1, times]);
    return {
      starts: mul(starts, factor) as Tensor1D,
      lengths: mul(lengths, factor) as Tensor1D,
      rowSequence: reshape(owners, [rows * times]) as Tensor1D,
    };
  });
  return {
    rows: rows * times,
    count,
    maxLength: maxLength * times,
    ...tensors,
    ...(isFull === undefined ? {} : { isFull }),
    ...(uniform ? { uniform: { batch: uniform.batch, tokens: uniform.tokens * times } } : {}),
  };
}
