// The choice of slots in tensor ops: the memory so far and the tokens that follow are ranked by comparing all with all.
// That is a handful of ops a block, where picking the largest again and again would take some for every slot.
import {
  broadcastTo,
  cast,
  concat,
  equal,
  expandDims,
  fill,
  greater,
  less,
  logicalAnd,
  logicalOr,
  maximum,
  range,
  reshape,
  scalar,
  slice,
  stack,
  sum,
  tidy,
  where,
  zeros,
  type Tensor,
} from '@mnemix/tensor';

export type Inputs = { scores: Tensor; held: Tensor | undefined };
export type Outputs = { ids: Tensor; scores: Tensor };
export interface Attrs {
  readonly slots: number;
  readonly block: number;
}

/**
 * The lowest finite float32 stands for −Infinity: WGSL need not compare infinities as one would expect. As a score it
 * means the same.
 */
export const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

/** Tokens to rank at a time: the table of comparisons grows with the square. */
const AT_ONCE = 512;

/** Scores and ids, float32 [S, …], the older first among equal scores. */
type Ranked = { readonly scores: Tensor; readonly ids: Tensor };

export function forward({ scores, held }: Inputs, { slots, block }: Attrs): Outputs {
  const [count = 0, tokens = 0] = scores.shape;
  const blocks = tokens / block;
  if (count * blocks === 0) {
    const shape = [count, blocks, slots];
    return { ids: zeros(shape, 'int32'), scores: zeros(shape) };
  }
  const heldSlots = held?.shape[1] ?? 0;
  const finite = maximum(scores, LOWEST);
  const tokensFrom = (first: number, length: number): Ranked => ({
    scores: slice(finite, [0, first], [count, length]),
    ids: numbered(count, heldSlots + first, length),
  });

  const empty = { scores: fill([count, slots], LOWEST), ids: zeros([count, slots]) };
  let memory: Ranked = held
    ? highest([{ scores: maximum(held, LOWEST), ids: numbered(count, 0, heldSlots) }, empty], slots)
    : empty;
  const memories: Ranked[] = [];
  for (let first = 0; first < tokens; first += block) {
    for (let done = 0; done < block; done += AT_ONCE) {
      memory = highest([memory, tokensFrom(first + done, Math.min(AT_ONCE, block - done))], slots);
    }
    memories.push(memory);
  }
  const best = stack(
    memories.map((each) => each.scores),
    1,
  );
  const ids = stack(
    memories.map((each) => each.ids),
    1,
  );
  const isTaken = greater(best, LOWEST);
  return {
    ids: cast(where(isTaken, ids, scalar(-1)), 'int32'),
    scores: where(isTaken, best, scalar(-Infinity)),
  };
}

/** first, first + 1, …: [S, length], exact up to 2^24. */
const numbered = (count: number, first: number, length: number): Tensor =>
  broadcastTo(reshape(range(first, first + length), [1, length]), [count, length]);

/** The `slots` highest of all parts, the highest first; among equal scores those that come first. */
const highest = (parts: readonly Ranked[], slots: number): Ranked =>
  tidy(() => {
    const scores = concat(
      parts.map((part) => part.scores),
      1,
    );
    const ids = concat(
      parts.map((part) => part.ids),
      1,
    );
    const size = scores.shape[1] as number;
    const place = range(0, size);
    const [own, other] = [expandDims(scores, 2), expandDims(scores, 1)];
    const isOlder = less(reshape(place, [1, size]), reshape(place, [size, 1]));
    const isAhead = logicalOr(greater(other, own), logicalAnd(equal(other, own), isOlder));
    const rank = sum(cast(isAhead, 'float32'), 2);
    const isInSlot = equal(expandDims(rank, 1), reshape(range(0, slots), [slots, 1]));
    // Selected, not multiplied: scores may be +Infinity.
    const inSlots = (x: Tensor): Tensor => sum(where(isInSlot, expandDims(x, 1), scalar(0)), 2);
    return { scores: inSlots(scores), ids: inSlots(ids) };
  });
