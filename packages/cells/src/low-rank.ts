// The low-rank maps of RWKV, W₂ φ(W₁ x) + b, under fla's names.
import { initOrthogonal, linear, type LinearParams } from '@mnemix/layers';
import { tensor1d, zeros, type Rng, type Tensor2D } from '@mnemix/tensor';

/** Named by their places in fla's sequence of a linear map, φ, and a linear map. */
export type LowRankParams = {
  readonly lora: {
    /** [rank, in] */
    readonly 0: LinearParams;
    /** [out, rank], with b [out] */
    readonly 2: LinearParams;
  };
};

export interface LowRankSizes {
  readonly inWidth: number;
  readonly rank: number;
  readonly outWidth: number;
}

/** W₁ = 0, so that b alone speaks at first; W₂ orthogonal, scaled by 0.1. No bias given: none. */
export function initLowRank(
  rng: Rng,
  { inWidth, rank, outWidth }: LowRankSizes,
  bias?: Float32Array,
): LowRankParams {
  const up = initOrthogonal(rng, rank, outWidth, 0.1 * Math.sqrt(Math.max(1, rank / outWidth)));
  return {
    lora: {
      0: { weight: zeros([rank, inWidth]) as Tensor2D },
      2: bias ? { ...up, bias: tensor1d(bias) } : up,
    },
  };
}

/**
 * x [N, in] → W₂ φ(W₁ x) + b [N, out].
 *
 * @param map how layers are applied: with the context's `linear` where every memory has its own
 */
export function lowRank(
  { lora }: LowRankParams,
  x: Tensor2D,
  phi: (x: Tensor2D) => Tensor2D,
  map: (layer: LinearParams, x: Tensor2D) => Tensor2D = (layer, rows) => linear(rows, layer),
): Tensor2D {
  return map(lora[2], phi(map(lora[0], x)));
}
