// Drawing without replacement.
import type { Rng } from '@mnemix/tensor';

/** `count` distinct integers of [low, high), uniform and in random order; O(count), however wide the range. */
export function distinctIntegers(rng: Rng, count: number, low: number, high: number): Int32Array {
  // Fisher–Yates from the front; entries that were never swapped still hold their own index and need no memory.
  const swapped = new Map<number, number>();
  return Int32Array.from(rng.bits(count), (word, i) => {
    const j = i + Math.floor((word / 2 ** 32) * (high - low - i));
    const drawn = swapped.get(j) ?? j;
    swapped.set(j, swapped.get(i) ?? i);
    return low + drawn;
  });
}

/**
 * `count` distinct indices in the order of sequential draws without replacement, each with probability proportional
 * to its weight among those left: the largest of log-weight + Gumbel noise, in descending order (Yellott 1977;
 * Kool et al. 2019, "Stochastic beams and where to find them").
 */
export function weightedDraws(rng: Rng, logWeights: Float64Array, count: number): Int32Array {
  const words = rng.bits(logWeights.length);
  // The half keeps the uniform number off 0 and 1.
  const scores = logWeights.map(
    (logWeight, i) => logWeight - Math.log(-Math.log(((words[i] as number) + 0.5) / 2 ** 32)),
  );
  const order = Int32Array.from(scores, (_, i) => i);
  order.sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  return order.slice(0, count);
}
