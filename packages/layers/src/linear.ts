// Affine maps of rows. Weights are [out, in], as in PyTorch.
import { linear as linearMap, linears as linearMaps, linearsAndRows } from '@mnemix/kernels';
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

/** As `linear` by any of the layers, those in the list made at once; and x, to be used from then on, see `linearsAndRows`. */
export function mapsOf(
  x: Tensor2D,
  layers: readonly LinearParams[],
): { readonly map: (layer: LinearParams) => Tensor2D; readonly rows: Tensor2D } {
  const { maps, rows } = linearsAndRows(x, layers);
  const made = new Map(layers.map((layer, i) => [layer, maps[i] as Tensor2D]));
  return { map: (layer) => made.get(layer) ?? linear(rows, layer), rows };
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
