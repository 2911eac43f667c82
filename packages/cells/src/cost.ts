// Arithmetic of a memory by formula, a multiply-add being two FLOPs. Per head and token; projections are extra.

/** Widths of one head. */
export interface HeadWidths {
  readonly dk: number;
  readonly dv: number;
}

export interface Cost {
  /** FLOPs of one decoded token. */
  readonly decode: number;
  /** FLOPs of a token in the chunk form. */
  readonly forward: number;
  /** FLOPs of its gradients, with what they compute anew. */
  readonly backward: number;
}

/** @param chunk tokens of a chunk */
export type CostFormula = (widths: HeadWidths, chunk?: number) => Cost;

const CHUNK = 64;

/** S ← DS + k vᵀ. */
export const diagonalDecayCost: CostFormula = ({ dk, dv }, chunk = CHUNK) => ({
  decode: 5 * dk * dv,
  forward: 4 * dk * dv + 2 * chunk * (dk + dv),
  backward: 10 * dk * dv + chunk * (6 * dk + 4 * dv),
});

/** S ← DS + k (y − (DS)ᵀe)ᵀ. */
export const deltaRuleCost: CostFormula = ({ dk, dv }, chunk = CHUNK) => ({
  decode: 7 * dk * dv,
  forward: 6 * dk * dv + chunk * (6 * dk + 4 * dv) + chunk ** 2 / 3,
  backward: 16 * dk * dv + chunk * (14 * dk + 10 * dv) + chunk ** 2 / 3,
});

/** S ← DS + b(aᵀS) + k vᵀ. */
export const diagonalPlusLowRankCost: CostFormula = ({ dk, dv }, chunk = CHUNK) => {
  const forward = 8 * dk * dv + chunk * (10 * dk + 8 * dv) + chunk ** 2 / 3;
  return { decode: 9 * dk * dv, forward, backward: 2.5 * forward };
};

/** Tokens whose gradients are taken at the same map, in memories that learn by gradient descent. */
const MINI_BATCH = 16;

/** W ← W − η Σ k Gᵀ, of square heads; a token reads the map and the gradients so far. */
export const tttLinearCost: CostFormula = ({ dk, dv }, chunk = MINI_BATCH) => ({
  decode: 8 * dk * dv,
  forward: 6 * dk * dv + 2 * chunk * (dk + dv),
  backward: 12 * dk * dv + 4 * chunk * (dk + dv),
});

/** Z ← ηZ − 2θ k Gᵀ and M ← (1 − α)M + Z, of square heads, with G from M as it was at the chunk's start. */
export const titansCost: CostFormula = ({ dk, dv }, chunk = MINI_BATCH) => ({
  decode: 9 * dk * dv,
  forward: 10 * dk * dv + 2 * chunk * (dk + dv) + 2 * chunk ** 2,
  backward: 20 * dk * dv + 4 * chunk * (dk + dv) + 4 * chunk ** 2,
});

/** Levels of a tree of tokens that are left above chunks. */
const levelsAbove = (levels: number, chunk: number): number => Math.max(0, levels - 1 - Math.log2(chunk));

/** S^(ℓ) ← e^g S^(ℓ) at each of `levels`, k vᵀ to the lowest; half of the tokens read a level above chunks. */
export const logLinearDecayCost =
  (levels: number): CostFormula =>
  ({ dk, dv }, chunk = CHUNK) => {
    const forward = (2 + levelsAbove(levels, chunk)) * dk * dv + 2 * chunk * (dk + dv);
    return { decode: (3 * levels + 2) * dk * dv, forward, backward: 2 * forward };
  };

/** S^(ℓ) ← e^g (I − β k kᵀ) S^(ℓ) likewise; queries pass the later half of a run to read the earlier one. */
export const logLinearDeltaCost =
  (levels: number): CostFormula =>
  ({ dk, dv }, chunk = CHUNK) => {
    const tree = levelsAbove(levels, chunk) * dk * (dk + dv) + (2 * dk ** 2 * (dk + dv)) / chunk;
    const forward = 2 * dk * (dk + dv) + chunk * (7 * dk + 2 * dv + chunk) + tree;
    return { decode: (7 * levels + 2) * dk * dv, forward, backward: 2 * forward };
  };

/** Two sums, and `steps` products with one of them for each token; the gradient solves once more. */
export const mesaCost =
  (steps: number): CostFormula =>
  ({ dk, dv }, chunk = CHUNK) => {
    const [keys, values] = [dk, dv].map((width) => diagonalDecayCost({ dk, dv: width }, chunk)) as [
      Cost,
      Cost,
    ];
    const solve = 2 * dk ** 2 + steps * (2 * dk ** 2 + 4 * chunk * dk);
    return {
      decode: 3 * dk ** 2 + 2 * steps * dk ** 2 + values.decode,
      forward: solve + values.forward,
      backward: solve + keys.backward + values.backward,
    };
  };

/** The formula of several memories or passes one after the other. */
export const sumOfCosts = (...costs: readonly Cost[]): Cost => ({
  decode: costs.reduce((sum, { decode }) => sum + decode, 0),
  forward: costs.reduce((sum, { forward }) => sum + forward, 0),
  backward: costs.reduce((sum, { backward }) => sum + backward, 0),
});

/** A memory that takes each token `times` times. */
export const timesCost = (times: number, { decode, forward, backward }: Cost): Cost => ({
  decode: times * decode,
  forward: times * forward,
  backward: times * backward,
});
