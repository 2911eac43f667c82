// From rows to chunks and back: what the tensor-op forms of the scans compute on.
import {
  add,
  cast,
  div,
  floor,
  gatherRows,
  greaterEqual,
  less,
  logicalAnd,
  mul,
  pad,
  range,
  reshape,
  scalar,
  slice,
  sub,
  transpose,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import type { Sequences } from '../sequences.ts';

/** The tensors of {@link Sequences}, as inputs of an op. */
export type SequenceTensors = {
  readonly starts: Tensor;
  readonly lengths: Tensor;
  readonly rowSequence: Tensor;
};

/** Their names: an op's integers. */
export const sequenceTensors = ['starts', 'lengths', 'rowSequence'] as const;

/** The plain numbers of {@link Sequences}, as attributes of an op. */
export type SequenceSizes = Pick<Sequences, 'rows' | 'count' | 'maxLength' | 'isFull' | 'uniform'>;

/**
 * Every sequence cut into chunks of C tokens: n = ⌈maxLength/C⌉ of them, the rest filled with zeros. Chunks come first
 * in memory, so that a scan takes one after the other, for all sequences and heads at once.
 *
 * Where the borders of chunks mean something (mini-batches of test-time training, levels of log-linear attention), a
 * sequence that continues an earlier call starts inside of a chunk: at slot `phase` of it, with zeros before. There is
 * one chunk more then, since phases are known to the device alone.
 */
export interface ChunkLayout {
  /** n. */
  readonly chunks: number;
  /** S·H: independent scans. */
  readonly lanes: number;
  /** C. */
  readonly chunkSize: number;
  /** [N, H, d] → [n·S·H, C, d]; [N, H] → [n·S·H, C, 1]. */
  readonly split: (x: Tensor) => Tensor;
  /** [n·S·H, C, d] → [N, H, d]; rows of no sequence become 0. */
  readonly join: (x: Tensor) => Tensor;
}

/** The chunk length to use: the one asked for, or less where sequences are shorter. At most 16 or a multiple of it. */
export function fittingChunkSize({ chunkSize, maxLength }: { chunkSize: number; maxLength: number }): number {
  return Math.min(chunkSize, maxLength <= 16 ? maxLength : Math.ceil(maxLength / 16) * 16);
}

/** @param phase [S] tokens of its first chunk that each sequence has behind it: 0 … C−1 in float32 */
export function chunkLayout(
  sequences: SequenceTensors & SequenceSizes,
  heads: number,
  chunkSize: number,
  phase?: Tensor,
): ChunkLayout {
  const { rows, count, maxLength, uniform } = sequences;
  const chunks = Math.ceil((maxLength + (phase ? chunkSize - 1 : 0)) / chunkSize);
  const padded = chunks * chunkSize;
  const order =
    uniform && !phase
      ? denseOrder(count, maxLength, chunks, padded)
      : raggedOrder(sequences, chunks, chunkSize, phase);
  return {
    chunks,
    lanes: count * heads,
    chunkSize,
    split: (x) => {
      const width = x.shape[2] ?? 1;
      const ordered = order.toChunks(reshape(x, [rows, heads * width]));
      const headsLast = reshape(ordered, [chunks * count, chunkSize, heads, width]);
      return reshape(swap(headsLast, 1), [chunks * count * heads, chunkSize, width]);
    },
    join: (x) => {
      const width = x.shape[2] as number;
      const headsFirst = reshape(x, [chunks * count, heads, chunkSize, width]);
      const ordered = reshape(swap(headsFirst, 1), [count * padded, heads * width]);
      return reshape(order.toRows(ordered), [rows, heads, width]);
    },
  };
}

/** A permutation between rows [N, w] and padded rows [n·S·C, w], chunk by chunk, then sequence by sequence. */
interface Order {
  readonly toChunks: (x: Tensor) => Tensor;
  readonly toRows: (x: Tensor) => Tensor;
}

function denseOrder(count: number, tokens: number, chunks: number, padded: number): Order {
  return {
    toChunks: (x) => {
      const width = x.shape[1] as number;
      const batch = reshape(x, [count, tokens, width]);
      const filled =
        padded === tokens
          ? batch
          : pad(batch, [
              [0, 0],
              [0, padded - tokens],
              [0, 0],
            ]);
      return swap(reshape(filled, [count, chunks, (padded / chunks) * width]), 0);
    },
    toRows: (x) => {
      const width = x.shape[1] as number;
      const ordered = reshape(x, [chunks, count, (padded / chunks) * width]);
      const filled = reshape(swap(ordered, 0), [count, padded, width]);
      const batch = padded === tokens ? filled : slice(filled, [0, 0, 0], [count, tokens, width]);
      return reshape(batch, [count * tokens, width]);
    },
  };
}

function raggedOrder(
  sequences: SequenceTensors & SequenceSizes,
  chunks: number,
  chunkSize: number,
  phase: Tensor = zeros([sequences.count]),
): Order {
  const { starts, lengths, rowSequence, rows, count } = sequences;
  const one = scalar(1, 'int32');
  /** x where the condition holds, −1 elsewhere. */
  const orNone = (x: Tensor, condition: Tensor) => sub(mul(add(x, one), cast(condition, 'int32')), one);

  // Padded row (chunk c, sequence s, slot i of the chunk) holds token t = c·C + i − phase, if the sequence has one.
  const slot = reshape(range(0, chunks * chunkSize, 1, 'int32'), [chunks, 1, chunkSize]);
  const token = sub(slot, reshape(cast(phase, 'int32'), [1, count, 1]));
  const exists = logicalAnd(
    greaterEqual(token, scalar(0, 'int32')),
    less(token, reshape(lengths, [1, count, 1])),
  );
  const source = orNone(add(reshape(starts, [1, count, 1]), token), exists);

  // Row r is token t = r − start of its sequence. Half a token keeps the division clear of rounding.
  const first = sub(cast(starts, 'float32'), phase);
  const t = sub(range(0, rows), reshape(gatherRows(reshape(first, [count, 1]), rowSequence), [rows]));
  const chunk = floor(div(add(t, 0.5), chunkSize));
  const lane = add(mul(chunk, count), cast(rowSequence, 'float32'));
  const target = orNone(
    cast(add(mul(lane, chunkSize), sub(t, mul(chunk, chunkSize))), 'int32'),
    greaterEqual(rowSequence, 0),
  );
  return {
    toChunks: (x) => gatherRows(x, reshape(source, [source.size])),
    toRows: (x) => gatherRows(x, target),
  };
}

/** Exchanges an axis with the next one; free where one of them has size 1. */
function swap(x: Tensor, axis: number): Tensor {
  const order = x.shape.map((_, i) => (i === axis ? axis + 1 : i === axis + 1 ? axis : i));
  const shape = order.map((i) => x.shape[i] as number);
  return shape[axis] === 1 || shape[axis + 1] === 1 ? reshape(x, shape) : transpose(x, order);
}
