// Decay inside a chunk, for the three kinds of gate: none, one for a token, one for each key channel.
//
// Notation: g ≤ 0 the log decay of a token, b its inclusive and p its exclusive running sum from the chunk's start.
// Every exponent is summed over the tokens that it spans instead of being a difference of running sums: it cannot be
// positive, and an open gate behind a closed one (g = −10⁴) keeps its digits.
import { cumsum, exp, expandDims, greater, greaterEqual, cast, matMul, mul, range, sum, transpose, type Tensor } from '@mnemix/tensor';
import { subChunkDecay, vectorScores } from './vector-scores.ts';

/**
 * Which pairs of tokens a score matrix relates, and through which decay.
 * - `read`: j ≤ i, e^{b_i − b_j}: queries, which see the token's own write
 * - `erase`: j < i, e^{b_i − b_j}: erase keys that see the decayed state
 * - `before`: j < i, e^{p_i − b_j}: whatever sees the state before the token's decay
 */
export type ScoreKind = 'read' | 'erase' | 'before';

/** Decayed scores ⟨X,Y⟩_ij = Σ_c x_ic y_jc e^{ρ_ic − b_jc} of x, y [P, C, d], and their derivatives. */
export interface Scores {
  /** [P, C, C], 0 outside of the pairs. */
  readonly of: (x: Tensor, y: Tensor) => Tensor;
  /** Gradient of x from that of the scores, of which only the pairs count. */
  readonly pullX: (dScores: Tensor, y: Tensor) => Tensor;
  /** Gradient of y. */
  readonly pullY: (dScores: Tensor, x: Tensor) => Tensor;
}

/** The decay of P chunks. */
export interface Decay {
  /** x ⊙ e^{b}: from the chunk's start through the token. */
  readonly throughToken: (x: Tensor) => Tensor;
  /** x ⊙ e^{p}: from the chunk's start up to the token. */
  readonly beforeToken: (x: Tensor) => Tensor;
  /** x ⊙ e^{b_C − b}: from behind the token to the chunk's end. */
  readonly afterToken: (x: Tensor) => Tensor;
  /** e^{b_C} over the whole chunk, [P, dk or 1, 1]; `undefined` without decay. */
  readonly whole: Tensor | undefined;
  readonly scores: (kind: ScoreKind) => Scores;
}

/** @param logDecay [P, C, 1], [P, C, dk], or none */
export function chunkDecay(logDecay: Tensor | undefined, chunkSize: number): Decay {
  if (logDecay === undefined) {
    const same = (x: Tensor) => x;
    const scores = (kind: ScoreKind) => weightedScores(pairs(chunkSize, kind));
    return { throughToken: same, beforeToken: same, afterToken: same, whole: undefined, scores };
  }
  const isScalar = logDecay.shape[2] === 1;
  const factor = (sums: () => Tensor) => {
    const made = once(() => exp(sums()));
    return (x: Tensor) => mul(x, made());
  };
  const pairDecay = isScalar ? tokenPairDecay : subChunkDecay;
  const inclusive = once(() => pairDecay(logDecay, false));
  const exclusive = once(() => pairDecay(logDecay, true));
  return {
    throughToken: factor(() => cumsum(logDecay, 1)),
    beforeToken: factor(() => cumsum(logDecay, 1, { exclusive: true })),
    afterToken: factor(() => cumsum(logDecay, 1, { exclusive: true, reverse: true })),
    whole: expandDims(exp(sum(logDecay, 1)), 2),
    scores: (kind) => {
      const decay = kind === 'before' ? exclusive() : inclusive();
      return isScalar ? weightedScores(mul(decay, pairs(chunkSize, kind))) : vectorScores(logDecay, kind, decay);
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** 1 for the pairs (i, j) of a kind, else 0: [C, C]. */
export function pairs(size: number, kind: ScoreKind): Tensor {
  const row = expandDims(range(0, size), 1);
  const column = expandDims(range(0, size), 0);
  return cast(kind === 'read' ? greaterEqual(row, column) : greater(row, column), 'float32');
}

/** e^{ρ_i − b_j} of each pair of tokens j < i, and 1 elsewhere: [P, i, j]. */
function tokenPairDecay(logDecay: Tensor, exclusive: boolean): Tensor {
  const size = logDecay.shape[1] as number;
  // [P, j, i]: the gates of the tokens behind j, summed up to i.
  const behind = mul(transpose(logDecay, [0, 2, 1]), transpose(pairs(size, 'before')));
  return exp(transpose(cumsum(behind, 2, { exclusive }), [0, 2, 1]));
}

/** Scores whose decay does not depend on the channel. */
const weightedScores = (weights: Tensor): Scores => ({
  of: (x, y) => mul(matMul(x, y, false, true), weights),
  pullX: (dScores, y) => matMul(mul(dScores, weights), y),
  pullY: (dScores, x) => matMul(mul(dScores, weights), x, true, false),
});
