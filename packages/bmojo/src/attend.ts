// One softmax over what the queries of a block see: groups of keys that differ in where they come from, and in how far away they
// may be. Blocks of queries share their keys, so scores and reading are plain products; who sees whom is told from positions.
import {
  add,
  clipByValue,
  concat,
  greaterEqual,
  matMul,
  max,
  mul,
  reshape,
  softmax,
  split,
  sub,
  transpose,
  where,
  type Tensor,
} from '@mnemix/tensor';

/** Heads of queries and of keys; each head of keys serves a group of queries. */
export interface AttentionHeads {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
}

/** Keys that every query of a block sees if their distance (position of the query − position of the key) allows. */
export interface KeyGroup {
  /** What asks for these keys, [S, n, b, H·D]. */
  readonly queries: Tensor;
  /** [S, n, m, kvH·D] */
  readonly keys: Tensor;
  /** [S, n, m, kvH·D] */
  readonly values: Tensor;
  /** Positions of the keys, [S, n, m]; negative: nobody, who is never seen. */
  readonly positions: Tensor;
  /** Seen from this distance on. */
  readonly nearest: number;
  /** Seen up to below this distance. */
  readonly farthest: number;
  /** Whether every query is among these keys, and sees itself. */
  readonly holdsQuery?: boolean;
  /** From this distance on, queries and keys to be used instead: those of rotary positions that do not grow any further. */
  readonly clamped?: { readonly from: number; readonly queries: Tensor; readonly keys: Tensor } | undefined;
}

/** Added to scores of what is not to be seen: e^{this} is 0, and it is a number. */
const HIDDEN = -1e30;

/**
 * Softmax attention of each query over all groups together. A query that sees nobody reads 0.
 *
 * @param positions of the queries, [S, n, b]
 * @returns [S, n, b, H·D]
 */
export function attend(
  positions: Tensor,
  groups: readonly KeyGroup[],
  { heads, kvHeads, headWidth }: AttentionHeads,
): Tensor {
  const [count, blocks, perBlock] = positions.shape as [number, number, number];
  const lanes = count * blocks;
  const perKey = heads / kvHeads;
  // Query heads of one group are further queries of one product: [S·n, kvH, (H/kvH)·b, D].
  const headsFirst = (x: Tensor, group: number): Tensor => {
    const tokens = x.shape[2] as number;
    const apart = reshape(x, [lanes, tokens, kvHeads, group, headWidth]);
    return reshape(transpose(apart, [0, 2, 3, 1, 4]), [lanes, kvHeads, group * tokens, headWidth]);
  };
  const scoresOf = (queries: Tensor, keys: Tensor): Tensor => {
    const scores = matMul(headsFirst(queries, perKey), headsFirst(keys, 1), false, true);
    return reshape(mul(scores, headWidth ** -0.5), [lanes, heads, perBlock, keys.shape[2] as number]);
  };
  const seen = groups.map((group) => {
    const size = group.positions.shape[2] as number;
    const keyPosition = reshape(group.positions, [lanes, 1, 1, size]);
    const distance = sub(reshape(positions, [lanes, 1, perBlock, 1]), keyPosition);
    // Distances are whole numbers, and products of clipped ones are faster than comparisons.
    const isThere = (x: Tensor): Tensor => clipByValue(x, 0, 1);
    let visible = mul(isThere(sub(distance, group.nearest - 1)), isThere(add(keyPosition, 1)));
    if (group.farthest < Infinity) visible = mul(visible, isThere(sub(group.farthest, distance)));
    let scores = scoresOf(group.queries, group.keys);
    if (group.clamped) {
      const far = scoresOf(group.clamped.queries, group.clamped.keys);
      scores = where(greaterEqual(distance, group.clamped.from), far, scores);
    }
    return { scores, visible };
  });
  const visible = concat(
    seen.map((group) => group.visible),
    3,
  );
  const scores = concat(
    seen.map((group) => group.scores),
    3,
  );
  const shares = softmax(add(scores, mul(sub(1, visible), HIDDEN)));
  // Whoever sees anybody has exact zeros for all others already; in a window everybody sees himself.
  const weights = groups.some((group) => group.holdsQuery) ? shares : mul(shares, max(visible, 3, true));
  const sizes = groups.map((group) => group.positions.shape[2] as number);
  const reads = (split(weights, sizes, 3) as Tensor[]).map((part, i) => {
    const group = groups[i] as KeyGroup;
    const perHead = reshape(part, [lanes, kvHeads, perKey * perBlock, sizes[i] as number]);
    return matMul(perHead, headsFirst(group.values, 1));
  });
  const read = reads.reduce((sum, part) => add(sum, part));
  const headsLast = transpose(reshape(read, [lanes, heads, perBlock, headWidth]), [0, 2, 1, 3]);
  return reshape(headsLast, [count, blocks, perBlock, heads * headWidth]);
}
