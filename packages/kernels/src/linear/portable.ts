// The linear map in tensor ops.
import { add, matMul, zeros, type Tensor, type Tensor2D } from '@mnemix/tensor';
import type { Parts } from '../join-rows/parts.ts';
import { apart, wholeOf, type Weights } from '../join-rows/weights.ts';
import { sumOfRows } from '../rows.ts';

export type Inputs = { x: Tensor; weight: Tensor; bias: Tensor | undefined };
export type BackwardInputs = Inputs & { dy: Tensor };
/** Without a bias, nobody looks at its gradient. */
export type Gradients = { dx: Tensor; dWeight: Tensor; dBias: Tensor };

/** Of a map without a bias whose weight is a list. */
export type ListInputs = Weights & { x: Tensor };
export type ListBackwardInputs = ListInputs & { dy: Tensor };

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

export const forwardOfList = ({ x, ...weights }: ListInputs): { y: Tensor } =>
  forward({ x, weight: wholeOf(weights), bias: undefined });

export function backwardOfList({ x, dy, ...weights }: ListBackwardInputs): Parts {
  const { dx, dWeight } = backward({ x, weight: wholeOf(weights), bias: undefined, dy });
  return { dx, ...apart(dWeight, weights) };
}
