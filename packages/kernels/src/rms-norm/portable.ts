// RMSNorm in tensor ops, over rows.
import { add, mean, mul, rsqrt, square, sub, type Tensor } from '@mnemix/tensor';
import { sumOfRows } from '../rows.ts';

export type Inputs = { x: Tensor; weight: Tensor | undefined };
export type BackwardInputs = Inputs & { dy: Tensor };
export type Gradients = { dx: Tensor; dWeight: Tensor };
export type AddInputs = { x: Tensor; added: Tensor; weight: Tensor };
/** `x` is the sum. */
export type AddBackwardInputs = { x: Tensor; weight: Tensor; dy: Tensor; dSum: Tensor };
export interface Attrs {
  readonly eps: number;
}

/** (mean x² + ε)^{−1/2} of each row, [N, 1]. */
export const inverseRms = (x: Tensor, eps: number): Tensor => rsqrt(add(mean(square(x), -1, true), eps));

export function forward({ x, weight }: Inputs, { eps }: Attrs): { y: Tensor } {
  const normal = mul(x, inverseRms(x, eps));
  return { y: weight ? mul(normal, weight) : normal };
}

export function backward({ x, weight, dy }: BackwardInputs, { eps }: Attrs): Gradients {
  const factor = inverseRms(x, eps);
  const normal = mul(x, factor);
  const h = weight ? mul(dy, weight) : dy;
  const dx = mul(factor, sub(h, mul(normal, mean(mul(h, normal), -1, true))));
  return { dx, dWeight: sumOfRows(mul(dy, normal)) };
}
