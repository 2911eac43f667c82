// One linear map of all rows.
import { checkShapes, defineOp, type Tensor, type Tensor2D } from '@mnemix/tensor';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, object>({
  name: 'LinearBackward',
  outputs: ['dx', 'dWeight', 'dBias'],
  portable: portable.backward,
  kernels: wasm.backward,
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, object>({
  name: 'Linear',
  outputs: ['y'],
  portable: portable.forward,
  kernels: wasm.forward,
  gradient: ({ inputs, grads }) => {
    const { dx, dWeight, dBias } = backwardOp({ ...inputs, dy: grads.y }, {});
    return { x: dx, weight: dWeight, bias: dBias };
  },
});

/**
 * y_n = W x_n + b for every row n.
 *
 * Gradients: dx_n = Wᵀ dy_n, dW = Σ_n dy_n x_nᵀ, db = Σ_n dy_n.
 *
 * @param inputs.x [N, in]
 * @param inputs.weight [out, in]
 * @param inputs.bias [out]
 * @returns [N, out]
 * @throws MnemixError `shape`
 */
export function linear({ x, weight, bias }: { x: Tensor; weight: Tensor; bias?: Tensor }): Tensor2D {
  checkShapes('linear', { x: [x, ['N', 'in']], weight: [weight, ['out', 'in']], bias: [bias, ['out']] });
  return forwardOp({ x, weight, bias }, {}).y as Tensor2D;
}
