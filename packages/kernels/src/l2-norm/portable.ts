// L2 normalisation in tensor ops, over rows.
import { add, mul, rsqrt, square, sub, sum, type Tensor } from '@mnemix/tensor';

export type Inputs = { x: Tensor };
export type BackwardInputs = Inputs & { dy: Tensor };
export type PairInputs = { x: Tensor; z: Tensor };
export type PairBackwardInputs = PairInputs & { dy: Tensor; dyOfZ: Tensor };
export interface Attrs {
  readonly eps: number;
}

const inverseNorm = (x: Tensor, eps: number): Tensor => rsqrt(add(sum(square(x), -1, true), eps));

export const forward = ({ x }: Inputs, { eps }: Attrs): { y: Tensor } => ({ y: mul(x, inverseNorm(x, eps)) });

export function backward({ x, dy }: BackwardInputs, { eps }: Attrs): { dx: Tensor } {
  const factor = inverseNorm(x, eps);
  const y = mul(x, factor);
  return { dx: mul(factor, sub(dy, mul(y, sum(mul(dy, y), -1, true)))) };
}
