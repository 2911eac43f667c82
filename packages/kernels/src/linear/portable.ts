// The linear map in tensor ops.
import { add, matMul, zeros, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { sumOfRows } from '../rows.ts';

export type Inputs = { x: Tensor; weight: Tensor; bias: Tensor | undefined };
export type BackwardInputs = Inputs & { dy: Tensor };
/** Without a bias, nobody looks at its gradient. */
export type Gradients = { dx: Tensor; dWeight: Tensor; dBias: Tensor };

export function forward({ x, weight, bias }: Inputs): { y: Tensor } {
  const y = matMul(x as Tensor2D, weight as Tensor2D, false, true);
  return { y: bias ? add(y, bias) : y };
}

export function backward({ x, weight, bias, dy }: BackwardInputs): Gradients {
  return {
    dx: matMul(dy as Tensor2D, weight as Tensor2D),
    dWeight: matMul(dy as Tensor2D, x as Tensor2D, true, false),
    dBias: bias ? sumOfRows(dy) : zeros([0]),
  };
}
