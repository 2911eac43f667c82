// Where the tokens of a pass lie: the rows of this pass and, behind them, the last tokens of the pass before. Tokens are named by
// their absolute position in the sequence, so that a sequence may be cut anywhere, a chunk of it included.
import { rowPositions } from '@mnemix/layers';
import type { Sequences } from '@mnemix/kernels';
import {
  add,
  cast,
  concat,
  div,
  floor,
  gatherRows,
  greaterEqual,
  less,
  logicalAnd,
  mul,
  range,
  reshape,
  scalar,
  slice,
  sub,
  where,
  zeros,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';

/** Positions that no token has stand for empty slots. */
export const NOBODY = -1;

/** Queries are read in blocks, which see the same memory: chunks of w tokens, or single tokens. */
export type BlockKind = 'chunk' | 'token';

export interface Timeline {
  readonly sequences: Sequences;
  /** Tokens that each sequence has seen before this pass, [S]. */
  readonly position: Tensor1D;
  /** Tokens that it has seen after this pass, [S]. */
  readonly end: Tensor1D;
  /** Position of each row, [N]. */
  readonly rowPosition: Tensor1D;
  readonly window: number;
  /** Blocks of each sequence, n, and queries of a block, b. */
  readonly blocks: number;
  readonly perBlock: number;
  /** Position of each query, [S, n, b]; some are of no token. */
  readonly queries: Tensor3D;
  /** The chunk that each block is, or lies in, [S, n]. */
  readonly chunk: Tensor2D;
  /** The block of the last token, [S]; −1 where a sequence has no token in this pass, nor a chunk begun. */
  readonly lastBlock: Tensor1D;
}

/** ⌊x / n⌋ of whole numbers. Half of one keeps the division clear of rounding. */
export const quotient = (x: Tensor, n: number): Tensor => floor(div(add(x, 0.5), n));

/**
 * @param position [S] tokens seen before; left out at the start of sequences
 * @param window w, which is the length of a chunk
 * @param kind how queries are read; a pass of one token always reads single tokens
 */
export function timelineOf(
  sequences: Sequences,
  position: Tensor1D | undefined,
  window: number,
  kind: BlockKind,
): Timeline {
  const { count, maxLength, lengths } = sequences;
  const seen = position ?? (zeros([count]) as Tensor1D);
  const end = add(seen, cast(lengths, 'float32')) as Tensor1D;
  const column = (x: Tensor): Tensor => reshape(x, [count, 1, 1]);
  const common = {
    sequences,
    position: seen,
    end,
    rowPosition: rowPositions(sequences, position),
    window,
  };
  if (kind === 'token' || maxLength === 1) {
    const queries = add(column(seen), reshape(range(0, maxLength), [1, maxLength, 1])) as Tensor3D;
    return {
      ...common,
      blocks: maxLength,
      perBlock: 1,
      queries,
      chunk: reshape(quotient(queries, window), [count, maxLength]) as Tensor2D,
      lastBlock: sub(cast(lengths, 'float32'), 1) as Tensor1D,
    };
  }
  // Where a chunk is begun, its block has queries before the pass too; there is one block more then.
  const blocks = Math.ceil((maxLength + (position ? window - 1 : 0)) / window);
  const first = quotient(seen, window);
  const chunk = add(reshape(first, [count, 1]), range(0, blocks)) as Tensor2D;
  const offset = reshape(range(0, window), [1, 1, window]);
  return {
    ...common,
    blocks,
    perBlock: window,
    queries: add(mul(reshape(chunk, [count, blocks, 1]), window), offset) as Tensor3D,
    chunk,
    lastBlock: sub(quotient(sub(end, 1), window), first) as Tensor1D,
  };
}

/** Tokens by position: the rows of a pass, with the last tokens of the pass before. */
export interface TokenStore {
  /** Rows [N, width] of this pass. */
  readonly rows: Tensor2D;
  /** [S, R, width], the newest last; none at the start of sequences. */
  readonly before?: Tensor3D | undefined;
}

/** Rows and what came before them as one table, [N + S·R, width]. */
export const tableOf = ({ rows, before }: TokenStore): Tensor2D => {
  if (before === undefined) return rows;
  const [count, length, width] = before.shape;
  return concat([rows, reshape(before, [count * length, width])], 0) as Tensor2D;
};

/**
 * Where tokens lie in a table: int32, the shape of `positions`; −1 for those that it does not hold.
 *
 * @param positions [S, …]
 * @param length R, how many tokens from before the pass it holds of each sequence
 */
export function indexOf({ sequences, position }: Timeline, positions: Tensor, length: number): Tensor {
  const { count, rows, starts, lengths } = sequences;
  const perSequence = (x: Tensor): Tensor => reshape(x, [count, ...positions.shape.slice(1).map(() => 1)]);
  const age = sub(positions, perSequence(position));
  const isNew = logicalAnd(greaterEqual(age, 0), less(age, perSequence(cast(lengths, 'float32'))));
  const newRow = add(perSequence(cast(starts, 'float32')), age);
  if (length === 0) return cast(where(isNew, newRow, scalar(NOBODY)), 'int32');
  const isOld = logicalAnd(logicalAnd(less(age, 0), greaterEqual(age, -length)), greaterEqual(positions, 0));
  const first = perSequence(add(mul(range(0, count), length), rows + length));
  return cast(where(isNew, newRow, where(isOld, add(first, age), scalar(NOBODY))), 'int32');
}

/** Rows of a table by index, of any shape: [..., width]. Zeros for −1. */
export function take(table: Tensor, index: Tensor): Tensor {
  const found = gatherRows(table, reshape(index, [index.size]));
  return reshape(found, [...index.shape, table.shape[1] as number]);
}

/** The tokens at these positions, [S, …] → [S, …, width]; zeros where there is none. */
const tokensAt = (timeline: Timeline, store: TokenStore, positions: Tensor): Tensor =>
  take(tableOf(store), indexOf(timeline, positions, store.before?.shape[1] ?? 0));

/** The last tokens after the pass, [S, length, width]: the next pass's `before`. Zeros where there are not so many. */
export function newest(timeline: Timeline, store: TokenStore, length: number): Tensor3D {
  const { end, sequences } = timeline;
  const { count, uniform } = sequences;
  const { rows, before } = store;
  const width = rows.shape[1];
  const held = before?.shape[1] ?? 0;
  // Where all sequences have as many new tokens, their ends are side by side.
  if (uniform && held + uniform.tokens >= length) {
    const own = reshape(rows, [count, uniform.tokens, width]);
    const all = before ? concat([before, own], 1) : own;
    return slice(all, [0, held + uniform.tokens - length, 0], [count, length, width]) as Tensor3D;
  }
  const positions = add(reshape(end, [count, 1]), range(-length, 0));
  return tokensAt(timeline, store, positions) as Tensor3D;
}

/**
 * Of what each block has, that of the last token's block: x [S, n, …] → [S, …].
 *
 * @param held what was there before the pass, [S, …]
 */
export function ofLastBlock({ sequences, lastBlock }: Timeline, x: Tensor, held: Tensor): Tensor {
  const { count } = sequences;
  const blocks = x.shape[1] as number;
  const rest = held.shape.slice(1);
  const all = concat([reshape(held, [count, 1, ...rest]), x], 1);
  const width = rest.reduce((a, b) => a * b, 1);
  const index = add(mul(range(0, count), blocks + 1), add(lastBlock, 1));
  const found = gatherRows(reshape(all, [count * (blocks + 1), width]), cast(index, 'int32'));
  return reshape(found, [count, ...rest]);
}
