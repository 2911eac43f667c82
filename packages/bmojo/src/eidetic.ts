// The eidetic memory: a fixed number of slots for tokens that are kept as they were. Which ones, is chosen without a gradient; what
// they hold is gathered from the tokens' own keys and values, through which gradients reach the tokens wherever they stand.
import { selectSlots } from '@mnemix/kernels';
import {
  add,
  cast,
  concat,
  fill,
  gatherRows,
  greaterEqual,
  less,
  logicalAnd,
  mul,
  noGrad,
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
import {
  indexOf,
  NOBODY,
  ofLastBlock,
  quotient,
  tableOf,
  take,
  type Timeline,
  type TokenStore,
} from './timeline.ts';

/** What the slots hold; the highest rank first. */
export interface EideticState {
  /** Keys of each slot's token, with the `span` tokens before it: [S, slots·(span+1), kvH·D]. */
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
  /** Position of each slot's token, [S, slots]; −1 where the slot is empty. */
  readonly positions: Tensor2D;
  /** Its rank, [S, slots]; −∞ where the slot is empty. */
  readonly scores: Tensor2D;
  readonly [name: string]: Tensor;
}

export interface SlotSizes {
  readonly slots: number;
  /** Tokens before the chosen one that a slot holds too. */
  readonly span: number;
  /** kvH·D */
  readonly keySize: number;
}

/** Slots that hold nothing. */
export const emptySlots = (sequences: number, { slots, span, keySize }: SlotSizes): EideticState => ({
  keys: zeros([sequences, slots * (span + 1), keySize]) as Tensor3D,
  values: zeros([sequences, slots * (span + 1), keySize]) as Tensor3D,
  positions: fill([sequences, slots], NOBODY) as Tensor2D,
  scores: fill([sequences, slots], -Infinity) as Tensor2D,
});

/** The same memory in more slots, which are empty, or in fewer: then the lowest ranks go. */
export function resizeSlots(held: EideticState, sizes: SlotSizes): EideticState {
  const [sequences, before] = held.positions.shape;
  const { slots, span } = sizes;
  if (slots === before) return held;
  const resized = (x: Tensor, empty: Tensor): Tensor => {
    const rest = x.shape.slice(2);
    const perSlot = (x.shape[1] as number) / before;
    if (slots > before)
      return concat([x, slice(empty, [0, before * perSlot], [sequences, (slots - before) * perSlot])], 1);
    return slice(x, [0, 0, ...rest.map(() => 0)], [sequences, slots * perSlot, ...rest]);
  };
  const empty = emptySlots(sequences, { ...sizes, slots: Math.max(slots, before), span });
  return Object.fromEntries(
    Object.entries(held).map(([name, x]) => [name, resized(x, empty[name] as Tensor)]),
  ) as unknown as EideticState;
}

/** What every block of queries sees of the memory. */
export interface EideticTokens {
  /** [S, n, slots·(span+1), kvH·D] */
  readonly keys: Tensor;
  readonly values: Tensor;
  /** [S, n, slots·(span+1)] */
  readonly positions: Tensor;
  /** Positions of the chosen tokens, [S, n, slots]; −1 where a slot is empty. */
  readonly chosen: Tensor3D;
  /** After the pass. */
  readonly state: EideticState;
}

/**
 * The memory that each block of queries sees. A chunk sees what was chosen of all tokens before it; a single token, where the memory
 * is refreshed with every token, what was chosen of all up to itself.
 *
 * @param ranks of the tokens, [N, 1], with those of the last w before the pass
 * @param tokens keys and values of the tokens, with those of the last w + span before the pass
 */
export function eideticTokens(
  timeline: Timeline,
  ranks: TokenStore,
  tokens: { readonly keys: TokenStore; readonly values: TokenStore },
  held: EideticState,
  { refresh, ...sizes }: SlotSizes & { readonly refresh: 'chunk' | 'token' },
): EideticTokens {
  const { slots, span, keySize } = sizes;
  const { count } = timeline.sequences;
  const { candidates, ids, scores } = choose(timeline, ranks, held.scores, refresh, slots);
  const blocks = ids.shape[1];

  // Ids count the held slots first, then the candidates.
  const all = concat([held.positions, candidates], 1);
  const perSequence = all.shape[1] as number;
  const firstOf = (size: number): Tensor => reshape(mul(range(0, count), size), [count, 1, 1]);
  const id = cast(ids, 'float32');
  const isFull = greaterEqual(id, 0);
  const place = where(isFull, add(firstOf(perSequence), id), scalar(NOBODY));
  const found = gatherRows(reshape(all, [count * perSequence, 1]), reshape(cast(place, 'int32'), [ids.size]));
  const chosen = where(isFull, reshape(found, ids.shape) as Tensor, scalar(NOBODY)) as Tensor3D;

  // A slot's tokens: what the slot held already, or else found by position.
  const perSlot = span + 1;
  const wide = (x: Tensor): Tensor => reshape(x, [count, blocks, slots, 1]);
  const offset = reshape(range(0, perSlot), [1, 1, 1, perSlot]);
  const positions = where(wide(isFull), add(sub(wide(chosen), span), offset), scalar(NOBODY));
  const history = tokens.keys.before?.shape[1] ?? 0;
  const newIndex = cast(indexOf(timeline, positions, history), 'float32');
  const tableSize = timeline.sequences.rows + count * history;
  const slot = add(reshape(firstOf(slots), [count, 1, 1, 1]), wide(id));
  const oldIndex = add(add(mul(slot, perSlot), offset), tableSize);
  const isHeld = wide(logicalAnd(isFull, less(id, slots)));
  const index = cast(where(isHeld, oldIndex, newIndex), 'int32');
  const gathered = (store: TokenStore, old: Tensor3D): Tensor => {
    const table = concat([tableOf(store), reshape(old, [count * slots * perSlot, keySize])], 0);
    return reshape(take(table, index), [count, blocks, slots * perSlot, keySize]);
  };
  const keys = gathered(tokens.keys, held.keys);
  const values = gathered(tokens.values, held.values);
  return {
    keys,
    values,
    positions: reshape(positions, [count, blocks, slots * perSlot]),
    chosen,
    state: {
      keys: ofLastBlock(timeline, keys, held.keys) as Tensor3D,
      values: ofLastBlock(timeline, values, held.values) as Tensor3D,
      positions: ofLastBlock(timeline, chosen, held.positions) as Tensor2D,
      scores: ofLastBlock(timeline, scores, held.scores) as Tensor2D,
    },
  };
}

/** Which tokens each block's slots hold: candidates' positions [S, n·r], ids and scores [S, n, slots]. */
function choose(
  timeline: Timeline,
  ranks: TokenStore,
  held: Tensor2D,
  refresh: 'chunk' | 'token',
  slots: number,
): { candidates: Tensor2D; ids: Tensor3D; scores: Tensor3D } {
  const { sequences, queries, position, window, chunk } = timeline;
  const { count } = sequences;
  return noGrad(() => {
    const blocks = chunk.shape[1];
    // The chunk before each block's; or each token itself.
    const offset = reshape(range(0, window), [1, 1, window]);
    const perChunk = add(mul(reshape(sub(chunk, 1), [count, blocks, 1]), window), offset);
    const candidates = refresh === 'token' ? queries : perChunk;
    const block = candidates.shape[2] as number;
    const index = indexOf(timeline, candidates, ranks.before?.shape[1] ?? 0);
    // The pass before has chosen among all before the chunk in which it ended.
    const heldChunk = reshape(quotient(sub(position, 1), window), [count, 1, 1]);
    const isOpen =
      refresh === 'token' ? greaterEqual(candidates, 0) : greaterEqual(candidates, mul(heldChunk, window));
    const isCandidate = logicalAnd(greaterEqual(index, scalar(0, 'int32')), isOpen);
    const found = reshape(take(tableOf(ranks), index), candidates.shape);
    const scores = where(isCandidate, found, scalar(-Infinity));
    const flat = reshape(scores, [count, blocks * block]);
    const selected = selectSlots({ scores: flat, held }, { slots, block });
    return {
      candidates: reshape(candidates, [count, blocks * block]) as Tensor2D,
      ids: selected.ids as Tensor3D,
      scores: selected.scores as Tensor3D,
    };
  });
}

/** Ranks as a store of tokens. */
export const rankStore = (ranks: Tensor1D, before: Tensor2D | undefined): TokenStore => ({
  rows: reshape(ranks, [ranks.size, 1]) as Tensor2D,
  before: before && (reshape(before, [...before.shape, 1]) as Tensor3D),
});
