// Affine maps of rows. Weights are [out, in], as in PyTorch.
import { linear as linearMap } from '@mnemix/kernels';
import type { Rng, Tensor1D, Tensor2D } from '@mnemix/tensor';

export interface LinearParams {
  /** [out, in] */
  readonly weight: Tensor2D;
  /** [out] */
  readonly bias?: Tensor1D;
  readonly [name: string]: Tensor2D | Tensor1D | undefined;
}

/** x [N, in] → x·Wᵀ + b [N, out]. */
export const linear = (x: Tensor2D, { weight, bias }: LinearParams): Tensor2D =>
  linearMap({ x, weight, bias });

/** fla's gain for the projections of its recurrent layers. */
const FLA_GAIN = 2 ** -2.5;

/** Xavier-uniform weights [out, in] with fla's gain 2^−2.5 (its layers' own initialisation), and no bias. */
export function initLinear(
  rng: Rng,
  inWidth: number,
  outWidth: number,
  gain = FLA_GAIN,
): { weight: Tensor2D } {
  const bound = gain * Math.sqrt(6 / (inWidth + outWidth));
  return { weight: rng.uniform([outWidth, inWidth], -bound, bound) as Tensor2D };
}

/** Normal weights [out, in], for embeddings, heads and MLPs. */
export const initNormal = (
  rng: Rng,
  inWidth: number,
  outWidth: number,
  deviation = 0.02,
): { weight: Tensor2D } => ({
  weight: rng.normal([outWidth, inWidth], 0, deviation) as Tensor2D,
});
