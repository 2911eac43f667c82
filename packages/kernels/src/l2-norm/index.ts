// Normalisation to unit length over the last axis.
import { defineOp, reshape, type Tensor } from '@mnemix/tensor';
import { toRows } from '../rows.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, { dx: Tensor }, portable.Attrs>({
  name: 'L2NormBackward',
  outputs: ['dx'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, portable.Attrs>({
  name: 'L2Norm',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads, attrs }) => ({ x: backwardOp({ x: inputs.x, dy: grads.y }, attrs).dx }),
});

export interface L2NormOptions {
  /**
   * Added to the sum of squares, inside the root. Default 1e-6, as the queries and keys of the delta rule use
   * it.
   */
  readonly eps?: number;
}

/**
 * y = r·x with r = (Σx² + ε)^{−1/2}, the sum over the last axis. Gradient: dx = r(dy − (dy·y) y).
 *
 * @param x [..., D]
 * @returns [..., D]
 * @throws MnemixError `shape`
 */
export function l2Norm(x: Tensor, { eps = 1e-6 }: L2NormOptions = {}): Tensor {
  return reshape(forwardOp({ x: toRows('l2Norm(x)', x) }, { eps }).y, x.shape);
}
