// Queries in blocks that share their keys, and those keys, in tensor ops: what the portable form multiplies.
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
  pad,
  range,
  reshape,
  scalar,
  scatterAddRows,
  slice,
  sub,
  sum,
  tile,
  where,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { blocksOf, type Attrs, type Group, type Inputs } from './op.ts';

/** Fewer queries in a block are more products than they save multiplications. */
const LEAST_PER_BLOCK = 16;

/** Positions of what is not there. */
const NOBODY = -1;

export interface QueryBlocks {
  /** n. */
  readonly blocks: number;
  /** b. */
  readonly perBlock: number;
  /** Position of each query, [S, n, b]; some are of no token. */
  readonly positions: Tensor;
  /** Rows [N, w] → [S·n, b, w]; 0 where there is no token. */
  readonly toBlocks: (rows: Tensor) => Tensor;
  /** [S·n, b, w] → [N, w]; 0 in rows of no sequence. */
  readonly toRows: (x: Tensor) => Tensor;
}

/** The keys of a group as each block sees them. */
export interface KeyBlocks {
  /** m. */
  readonly size: number;
  /** [S, n, m], or [S, 1, m] if they are the same for all blocks; negative where there is nobody. */
  readonly positions: Tensor;
  /** An input of the group → [S·n, m, kvH·D]. */
  readonly read: (name: 'keys' | 'values' | 'farKeys') => Tensor;
  /** Gradient of what `read` gave → those of the inputs, under their names. */
  readonly write: (name: 'keys' | 'values' | 'farKeys', gradient: Tensor) => Record<string, Tensor>;
}

const perSequence = (x: Tensor, axes: number): Tensor => reshape(x, [x.size, ...Array<number>(axes).fill(1)]);

const seenBefore = ({ position }: Inputs, { count }: Attrs): Tensor => position ?? zeros([count]);

/** Where tokens lie in rows [N], or behind them in a cache [S·R]; int32, −1 for those that are in neither. */
function indexOf(inputs: Inputs, attrs: Attrs, positions: Tensor, cached: number): Tensor {
  const { rows, count } = attrs;
  const axes = positions.rank - 1;
  const ofSequence = (x: Tensor): Tensor => perSequence(cast(x, 'float32'), axes);
  const t = sub(positions, ofSequence(seenBefore(inputs, attrs)));
  const isNew = logicalAnd(greaterEqual(t, 0), less(t, ofSequence(inputs['lengths'] as Tensor)));
  const row = add(ofSequence(inputs['starts'] as Tensor), t);
  if (cached === 0) return cast(where(isNew, row, scalar(NOBODY)), 'int32');
  const isOld = logicalAnd(logicalAnd(less(t, 0), greaterEqual(t, -cached)), greaterEqual(positions, 0));
  // Where the token of this pass that follows on the cache would lie.
  const behind = perSequence(add(mul(range(1, count + 1), cached), rows), axes);
  return cast(where(isNew, row, where(isOld, add(behind, t), scalar(NOBODY))), 'int32');
}

const take = (table: Tensor, index: Tensor): Tensor => gatherRows(table, reshape(index, [index.size]));

/** How many queries are read together: those that share keys, or that share most of a window; else all. */
function blockSizes({ maxLength, block, groups }: Attrs, isContinued: boolean) {
  const blocks = block === undefined ? 1 : blocksOf(maxLength, block, isContinued);
  if (block !== undefined && blocks > 1) return { perBlock: block, blocks, isShared: true };
  const reach = Math.max(LEAST_PER_BLOCK, ...groups.map(({ farthest }) => farthest));
  const hasOwn = groups.some(({ kind }) => kind === 'blocks');
  if (hasOwn || reach >= maxLength) return { perBlock: maxLength, blocks: 1, isShared: false };
  return { perBlock: reach, blocks: Math.ceil(maxLength / reach), isShared: false };
}

export function queryBlocks(inputs: Inputs, attrs: Attrs): QueryBlocks {
  const { rows, count, maxLength, uniform } = attrs;
  const { position } = inputs;
  const { perBlock, blocks, isShared } = blockSizes(attrs, position !== undefined);
  const seen = seenBefore(inputs, attrs);
  // Half of one keeps the division clear of rounding.
  const isCut = isShared && perBlock > 1 && position !== undefined;
  const origin = isCut ? mul(floor(div(add(seen, 0.5), perBlock)), perBlock) : seen;
  const slots = blocks * perBlock;
  const positions = reshape(add(perSequence(origin, 1), range(0, slots)), [count, blocks, perBlock]);
  if (uniform && !isCut && slots === maxLength) {
    return {
      blocks,
      perBlock,
      positions,
      toBlocks: (x) => reshape(x, [count * blocks, perBlock, x.shape[1] as number]),
      toRows: (x) => reshape(x, [rows, x.shape[2] as number]),
    };
  }
  const index = indexOf(inputs, attrs, positions, 0);
  const rowSequence = inputs['rowSequence'] as Tensor;
  const ofRow = (x: Tensor): Tensor => reshape(take(perSequence(x, 1), rowSequence), [rows]);
  const first = add(
    sub(seen, origin),
    sub(mul(range(0, count), slots), cast(inputs['starts'] as Tensor, 'float32')),
  );
  const slot = where(
    greaterEqual(rowSequence, scalar(0, 'int32')),
    add(range(0, rows), ofRow(first)),
    scalar(NOBODY),
  );
  return {
    blocks,
    perBlock,
    positions,
    toBlocks: (x) => reshape(take(x, index), [count * blocks, perBlock, x.shape[1] as number]),
    toRows: (x) => take(reshape(x, [count * slots, x.shape[2] as number]), cast(slot, 'int32')),
  };
}

export function keyBlocks(inputs: Inputs, attrs: Attrs, queries: QueryBlocks, g: number): KeyBlocks {
  const group = attrs.groups[g] as Group;
  if (group.kind === 'blocks') return sharedKeys(inputs, attrs, queries, g);
  const isDense = attrs.uniform !== undefined && queries.blocks === 1;
  return isDense ? denseTokens(inputs, attrs, group, g) : gatheredTokens(inputs, attrs, queries, g);
}

/** Keys that come in blocks already. */
function sharedKeys(inputs: Inputs, { count }: Attrs, { blocks }: QueryBlocks, g: number): KeyBlocks {
  const positions = inputs[`positions${g}`] as Tensor;
  const [, own = 1, size = 0] = positions.shape;
  return {
    size,
    positions,
    read: (name) => {
      const x = inputs[`${name}${g}`] as Tensor;
      const all = own === blocks ? x : tile(x, [1, blocks, 1, 1]);
      return reshape(all, [count * blocks, size, x.shape[3] as number]);
    },
    write: (name, gradient) => {
      const perBlock = reshape(gradient, [count, blocks, size, gradient.shape[2] as number]);
      return { [`${name}${g}`]: own === blocks ? perBlock : sum(perBlock, 1, true) };
    },
  };
}

/** Sequences of the same length, read whole: the cache and the rows side by side. */
function denseTokens(inputs: Inputs, attrs: Attrs, { nearest, farthest }: Group, g: number): KeyBlocks {
  const { rows, count, maxLength } = attrs;
  const cached = inputs[`keysBefore${g}`]?.shape[1] ?? 0;
  const all = cached + maxLength;
  const first = cached - Math.min(cached, farthest - 1);
  const size = Math.max(1, all - nearest - first);
  const start = Math.min(first, all - size);
  return {
    size,
    positions: add(
      perSequence(seenBefore(inputs, attrs), 2),
      reshape(range(start - cached, start - cached + size), [1, 1, size]),
    ),
    read: (name) => {
      const x = inputs[`${name}${g}`] as Tensor;
      const width = x.shape[1] as number;
      const own = reshape(x, [count, maxLength, width]);
      const before = inputs[`${name}Before${g}`];
      return slice(before ? concat([before, own], 1) : own, [0, start, 0], [count, size, width]);
    },
    write: (name, gradient) => {
      const width = gradient.shape[2] as number;
      const padded = pad(gradient, [
        [0, 0],
        [start, all - start - size],
        [0, 0],
      ]);
      const own = reshape(slice(padded, [0, cached, 0], [count, maxLength, width]), [rows, width]);
      if (cached === 0) return { [`${name}${g}`]: own };
      return {
        [`${name}${g}`]: own,
        [`${name}Before${g}`]: slice(padded, [0, 0, 0], [count, cached, width]),
      };
    },
  };
}

/** Tokens by position, for each block those that its queries may see. */
function gatheredTokens(inputs: Inputs, attrs: Attrs, queries: QueryBlocks, g: number): KeyBlocks {
  const { rows, count, groups } = attrs;
  const { nearest, farthest } = groups[g] as Group;
  const { blocks, perBlock } = queries;
  const cached = inputs[`keysBefore${g}`]?.shape[1] ?? 0;
  const reach = Math.min(farthest - 1, cached + (blocks - 1) * perBlock);
  const size = Math.max(1, perBlock - nearest + reach);
  const first = slice(queries.positions, [0, 0, 0], [count, blocks, 1]);
  const wanted = add(first, reshape(range(-reach, size - reach), [1, 1, size]));
  const index = indexOf(inputs, attrs, wanted, cached);
  return {
    size,
    positions: where(greaterEqual(index, scalar(0, 'int32')), wanted, scalar(NOBODY)),
    read: (name) => {
      const x = inputs[`${name}${g}`] as Tensor;
      const width = x.shape[1] as number;
      const before = inputs[`${name}Before${g}`];
      const table = before ? concat([x, reshape(before, [count * cached, width])], 0) : x;
      return reshape(take(table, index), [count * blocks, size, width]);
    },
    write: (name, gradient) => {
      const width = gradient.shape[2] as number;
      const flat = reshape(gradient, [index.size, width]);
      const table = scatterAddRows(flat, reshape(index, [index.size]), rows + count * cached);
      const own = slice(table, [0, 0], [rows, width]);
      if (cached === 0) return { [`${name}${g}`]: own };
      const before = slice(table, [rows, 0], [count * cached, width]);
      return { [`${name}${g}`]: own, [`${name}Before${g}`]: reshape(before, [count, cached, width]) };
    },
  };
}
