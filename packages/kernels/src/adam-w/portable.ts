// AdamW and the global norm in tensor ops.
import { add, div, mul, sqrt, square, sub, sum, type Tensor } from '@mnemix/tensor';

export type Inputs = { param: Tensor; grad: Tensor; m: Tensor; v: Tensor; gradScale: Tensor | undefined };
export type Outputs = { param: Tensor; m: Tensor; v: Tensor };
export interface Attrs {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The gradient is multiplied by it, and by the tensor `gradScale` where there is one. */
  readonly gradFactor: number;
  /** 1 − η·decay. */
  readonly keep: number;
  /** η/(1−β₁ᵗ). */
  readonly stepSize: number;
  /** 1/√(1−β₂ᵗ). */
  readonly rootScale: number;
}

export function step({ param, grad, m, v, gradScale }: Inputs, attrs: Attrs): Outputs {
  const { beta1, beta2, epsilon, gradFactor, keep, stepSize, rootScale } = attrs;
  const scaled = mul(grad, gradFactor);
  const g = gradScale ? mul(scaled, gradScale) : scaled;
  const mean = add(mul(m, beta1), mul(g, 1 - beta1));
  const meanSquare = add(mul(v, beta2), mul(square(g), 1 - beta2));
  const update = div(mean, add(mul(sqrt(meanSquare), rootScale), epsilon));
  return { param: sub(mul(param, keep), mul(update, stepSize)), m: mean, v: meanSquare };
}

export const norm = (tensors: Record<string, Tensor>): { norm: Tensor } => ({
  norm: sqrt(
    Object.values(tensors)
      .map((x) => sum(square(x)))
      .reduce((a, b) => add(a, b)),
  ),
});
