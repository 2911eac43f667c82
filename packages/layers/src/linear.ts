// Affine maps of rows. Weights are [out, in], as in PyTorch.
import { linear as linearMap, linears as linearMaps } from '@mnemix/kernels';
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

/** As `linear` with each of these layers, by the same names; on WebGPU one product for all. */
export function linears<Name extends string>(
  x: Tensor2D,
  layers: { readonly [layer in Name]: LinearParams },
): { [layer in Name]: Tensor2D } {
  const made = linearMaps(x, Object.values<LinearParams>(layers));
  return Object.fromEntries(Object.keys(layers).map((name, i) => [name, made[i]])) as never;
}

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
