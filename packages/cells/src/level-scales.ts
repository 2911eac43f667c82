// What log-linear memories have beside those that they are made of (Guo et al. 2025, "Log-linear attention",
// §3): a memory for each level of the past, and how strongly a token reads each of them,
//   λ_t^(ℓ) = softplus(L_hℓ · dl_tℓ)   for head h and level ℓ, dl a linear map of the token
import {
  checkConfig,
  checkCount,
  mul,
  ones,
  reshape,
  softplus,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';

/** ⌊log2 T⌋ + 2 for T = 2048 tokens. */
export const DEFAULT_LEVELS = 13;

/** Positions in a taller tree are not exact in float32. */
const MOST_LEVELS = 24;

export interface LevelOptions {
  /**
   * Levels of the past that a token tells apart: ⌊log2 T⌋ + 2 for sequences of T tokens, and at most 24. The
   * topmost one also takes all that is older, so that fewer levels only see the far past less sharply.
   * Default 13, for 2048 tokens; fla's layer has 15, for 16384.
   */
  readonly levels?: number;
}

/** The levels' part of a state. */
export interface LevelState {
  /** S of every level, [sequences, heads, levels, dk, dv] */
  readonly memory: Tensor;
  /** Tokens so far, [sequences] */
  readonly position: Tensor1D;
}

/** @throws MnemixError `config` */
export function checkLevels(where: string, levels: number): void {
  checkCount(where, levels);
  checkConfig(
    levels <= MOST_LEVELS,
    where,
    `${levels} levels are more than positions can be told apart by.`,
    `Use at most ${MOST_LEVELS}: they are enough for ${2 ** (MOST_LEVELS - 1)} tokens.`,
  );
}

/** L at the start, [heads, levels]. */
export const initLevels = (heads: number, levels: number): Tensor2D => ones([heads, levels]) as Tensor2D;

/**
 * λ [N, heads, levels].
 *
 * @param dl [N, heads·levels]
 * @param L [heads, levels]
 */
export function levelScales(dl: Tensor2D, L: Tensor2D): Tensor3D {
  return softplus(mul(reshape(dl, [dl.shape[0], ...L.shape]), L)) as Tensor3D;
}
