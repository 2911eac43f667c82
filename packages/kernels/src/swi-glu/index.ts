// The gate of a SwiGLU feed-forward layer.
import { checkShapes, defineOp, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { linear, type Layer } from '../linear/index.ts';
import { isWorthJoining } from '../linear/joined.ts';
import * as gpu from './gpu.ts';
import { gateOfMaps } from './of-maps.ts';
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

/**
 * {@link swiGlu} of two maps of x: silu(W_gate x) ⊙ W_up x. On WebGPU both are one product, forward and backward, whose columns are
 * never taken apart.
 *
 * @param x [N, in]
 * @returns [N, out]
 * @throws MnemixError `shape`
 */
export function swiGluOfMaps(
  x: Tensor,
  { gate, up }: { readonly gate: Layer; readonly up: Layer },
): Tensor2D {
  checkShapes('swiGluOfMaps', {
    x: [x, ['N', 'in']],
    gate: [gate.weight, ['out', 'in']],
    up: [up.weight, ['out', 'in']],
  });
  const width = 2 * (gate.weight.shape[0] as number);
  const isJoined = !gate.bias && !up.bias && isWorthJoining(x.shape[0] as number, width);
  if (!isJoined) return swiGlu(linear({ x, ...gate }), linear({ x, ...up })) as Tensor2D;
  return gateOfMaps(x, gate.weight, up.weight);
}
