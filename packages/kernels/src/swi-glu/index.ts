// The gate of a SwiGLU feed-forward layer.
import { checkShapes, defineOp, type Tensor } from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, object>({
  name: 'SwiGluBackward',
  outputs: ['dGate', 'dUp'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, object>({
  name: 'SwiGlu',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads }) => {
    const { dGate, dUp } = backwardOp({ ...inputs, dy: grads.y }, {});
    return { gate: dGate, up: dUp };
  },
});

/**
 * y = silu(gate) ⊙ up (Shazeer 2020). Gradients: d gate = dy ⊙ up ⊙ silu′(gate), d up = dy ⊙ silu(gate),
 * where silu′(z) = σ(z)(1 + z(1 − σ(z))).
 *
 * @param gate any shape
 * @param up the same shape
 * @returns the same shape
 * @throws MnemixError `shape`
 */
export function swiGlu(gate: Tensor, up: Tensor): Tensor {
  checkShapes('swiGlu', { up: [up, gate.shape] });
  return forwardOp({ gate, up }, {}).y;
}
