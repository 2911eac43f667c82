// Decay inside a chunk, for the three kinds of gate: none, one for a token, one for each key channel.
//
// Notation: g ≤ 0 the log decay of a token, b its inclusive and p its exclusive running sum from the chunk's start.
// Every exponent is summed over the tokens that it spans instead of being a difference of running sums: it cannot be
// positive, and an open gate behind a closed one (g = −10⁴) keeps its digits.
import { cumsum, exp, expandDims, matMul, mul, sum, type Tensor } from '@mnemix/tensor';
import { lowerTriangle } from './triangular.ts';
import { vectorScores } from './vector-scores.ts';

/**
 * Through which decay a token i looks back at the tokens j < i.
 * - `through`: e^{b_i − b_j}, its own gate included: queries, and erase keys that see the decayed state
 * - `before`: e^{p_i − b_j}: whatever sees the state as it was before the token
 */
export type ScoreKind = 'through' | 'before';

/**
 * Decayed scores ⟨X,Y⟩_ij = Σ_c x_ic y_jc e^{ρ_ic − b_jc}, j < i, of x, y [P, C, d], and their derivatives. What a token
 * has to do with itself takes no decay, and is left to the caller: so the gradient of a closed gate is 0 exactly.
 */
export interface Scores {
  /** [P, C, C], strictly lower triangular. */
  readonly of: (x: Tensor, y: Tensor) => Tensor;
  /** Gradient of x from that of the scores, of which only the strictly lower part counts. */
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
    const scores = weightedScores(lowerTriangle(chunkSize));
    return {
      throughToken: same,
      beforeToken: same,
      afterToken: same,
      whole: undefined,
      scores: () => scores,
    };
  }
  const isScalar = logDecay.shape[2] === 1;
  const factor = (sums: () => Tensor) => {
    const made = once(() => exp(sums()));
    return (x: Tensor) => mul(x, made());
  };
  const scores = (exclusive: boolean) => () =>
    isScalar ? weightedScores(tokenPairDecay(logDecay, exclusive)) : vectorScores(logDecay, exclusive);
  const [through, before] = [once(scores(false)), once(scores(true))];
  return {
    throughToken: factor(() => cumsum(logDecay, 1)),
    beforeToken: factor(() => cumsum(logDecay, 1, { exclusive: true })),
    afterToken: factor(() => cumsum(logDecay, 1, { exclusive: true, reverse: true })),
    whole: expandDims(exp(sum(logDecay, 1)), 2),
    scores: (kind) => (kind === 'before' ? before() : through()),
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** e^{ρ_i − b_j} where j < i, else 0: [P, i, j]. */
function tokenPairDecay(logDecay: Tensor, exclusive: boolean): Tensor {
  const lower = lowerTriangle(logDecay.shape[1] as number);
  // [P, m, j]: the gates of the tokens m behind j, summed up to i.
  const behind = mul(logDecay, lower);
  return mul(exp(cumsum(behind, 1, { exclusive })), lower);
}

/** Scores whose decay does not depend on the channel. */
const weightedScores = (weights: Tensor): Scores => ({
  of: (x, y) => mul(matMul(x, y, false, true), weights),
  pullX: (dScores, y) => matMul(mul(dScores, weights), y),
  pullY: (dScores, x) => matMul(mul(dScores, weights), x, true, false),
});
