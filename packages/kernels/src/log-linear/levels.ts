// The levels of a Fenwick tree of positions, as masks on the device: where each sequence stands is known
// there alone.
//
// Level m is about aligned runs of 2^m positions. Seen from t, token j ≤ t lies in the lowest level m whose
// run holds both, which is bitlength(t xor j); the top level counts as one run of everything. As t moves on
// from x to y, all levels below that of x seen from y are merged into it: this is the whole rule, for single
// tokens and for whole chunks.
import {
  abs,
  add,
  expandDims,
  floor,
  matMul,
  minimum,
  mul,
  noGrad,
  pad,
  slice,
  sub,
  sum,
  tensor,
  type Tensor,
} from '@mnemix/tensor';

/** What the levels as seen from one position are as seen from a later one. */
export interface LevelView {
  /** 1 where a level is left as it is, 0 where it is merged into a higher one. */
  readonly kept: Tensor;
  /** 1 at the level that takes them in, which is the level of the earlier position itself. */
  readonly entered: Tensor;
}

/** @param from, to positions [..., 1], which are broadcast; the masks are [..., levels] */
export function levelView(from: Tensor, to: Tensor, levels: number): LevelView {
  return noGrad(() => {
    const perRun = tensor(Array.from({ length: levels }, (_, m) => (m < levels - 1 ? 2 ** -m : 0)));
    const apart = abs(sub(floor(mul(from, perRun)), floor(mul(to, perRun))));
    const kept = sub(1, minimum(apart, 1));
    if (levels === 1) return { kept, entered: kept };
    const lead = kept.shape.slice(0, -1);
    const below = slice(kept, [...lead.map(() => 0), 0], [...lead, levels - 1]);
    return { kept, entered: sub(kept, pad(below, [...lead.map((): [0, 0] => [0, 0]), [1, 0]])) };
  });
}

/**
 * Merges levels.
 *
 * @param memory [lanes, L, w]
 * @param view [lanes, L]
 * @param added [lanes, 1, w] joins what is merged
 */
export function mergeLevels(memory: Tensor, { kept, entered }: LevelView, added?: Tensor): Tensor {
  const moved = matMul(expandDims(sub(1, kept), 1), memory);
  const all = added ? add(moved, added) : moved;
  return add(mul(memory, expandDims(kept, 2)), mul(expandDims(entered, 2), all));
}

/**
 * The scales by which a token reads levels that are still as an earlier position saw them.
 *
 * @param scales λ [lanes, T, L]
 * @param view [lanes, T, L] from that position to each token
 */
export function carriedScales(scales: Tensor, { kept, entered }: LevelView): Tensor {
  const whereMerged = sum(mul(scales, entered), 2, true);
  return add(mul(scales, kept), mul(whereMerged, sub(1, kept)));
}

/**
 * Which of L levels each of `count` levels of a tree without a top is, [1, L, count]: the top one is all from
 * there on.
 */
const levelPlaces = (levels: number, count: number): Tensor =>
  tensor(
    Float32Array.from({ length: levels * count }, (_, at) =>
      Math.min(at % count, levels - 1) === Math.floor(at / count) ? 1 : 0,
    ),
    [1, levels, count],
  );

/** Scales λ [P, C, L] of the first `count` levels of a tree without a top, [P, C, count]. */
export function untruncated(scales: Tensor, count: number): Tensor {
  const [rows, size, levels] = scales.shape as [number, number, number];
  if (levels < count) return matMul(scales, levelPlaces(levels, count));
  return slice(scales, [0, 0, 0], [rows, size, count]);
}

/** The first levels of a tree without a top [lanes, count, w], as the L of one with a top. */
export function truncated(memory: Tensor, levels: number): Tensor {
  const count = memory.shape[1] as number;
  if (levels < count) return matMul(levelPlaces(levels, count), memory);
  return pad(memory, [
    [0, 0],
    [0, levels - count],
    [0, 0],
  ]);
}
