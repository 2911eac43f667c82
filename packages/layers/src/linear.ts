// Affine maps of rows. Weights are [out, in], as in PyTorch.
import { add, checkShapes, matMul, type Rng, type Tensor1D, type Tensor2D } from '@mnemix/tensor';

export interface LinearParams {
  /** [out, in] */
  readonly weight: Tensor2D;
  /** [out] */
  readonly bias?: Tensor1D;
  readonly [name: string]: Tensor2D | Tensor1D | undefined;
}

/** x [N, in] → x·Wᵀ + b [N, out]. */
export function linear(x: Tensor2D, { weight, bias }: LinearParams): Tensor2D {
  checkShapes('linear', { x: [x, ['N', 'in']], weight: [weight, ['out', 'in']], bias: [bias, ['out']] });
  const y = matMul(x, weight, false, true) as Tensor2D;
  return bias === undefined ? y : add(y, bias);
}

/** fla's gain for the projections of its recurrent layers. */
const FLA_GAIN = 2 ** -2.5;

/** Xavier-uniform weights [out, in] with fla's gain 2^−2.5 (its layers' own initialisation), and no bias. */
export function initLinear(rng: Rng, inWidth: number, outWidth: number, gain = FLA_GAIN): { weight: Tensor2D } {
  const bound = gain * Math.sqrt(6 / (inWidth + outWidth));
  return { weight: rng.uniform([outWidth, inWidth], -bound, bound) as Tensor2D };
}

/** Normal weights [out, in], for embeddings, heads and MLPs. */
export const initNormal = (rng: Rng, inWidth: number, outWidth: number, deviation = 0.02): { weight: Tensor2D } => ({
  weight: rng.normal([outWidth, inWidth], 0, deviation) as Tensor2D,
});
