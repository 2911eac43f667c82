// RMSNorm with an output gate, over the last axis.
import { checkShapes, defineOp, reshape, type Tensor } from '@mnemix/tensor';
import { toRows } from '../rows.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, portable.Attrs>({
  name: 'RmsNormGatedBackward',
  outputs: ['dx', 'dGate', 'dWeight'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, portable.Attrs>({
  name: 'RmsNormGated',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads, attrs }) => {
    const { dx, dGate, dWeight } = backwardOp({ ...inputs, dy: grads.y }, attrs);
    return { x: dx, gate: dGate, weight: dWeight };
  },
});

export interface RmsNormGatedOptions {
  /** Added to the mean square. Default 1e-5. */
  readonly eps?: number;
  /** Applied to the gate. Default `silu`. */
  readonly activation?: portable.Activation;
}

/**
 * RMSNorm with an output gate, as in fla's `FusedRMSNormGated`: normalised first, gated after,
 * y = (w ⊙ x̂) ⊙ act(gate) with x̂ = r·x and r = (mean x² + ε)^{−1/2}.
 *
 * Gradients, with h = dy ⊙ act(gate) ⊙ w: dx = r(h − x̂·mean(h ⊙ x̂)), d gate = dy ⊙ w ⊙ x̂ ⊙ act′(gate),
 * dw = Σ dy ⊙ act(gate) ⊙ x̂.
 *
 * @param inputs.x [..., D]
 * @param inputs.gate the shape of x
 * @param inputs.weight [D]
 * @returns the shape of x
 * @throws MnemixError `shape`
 */
export function rmsNormGated(
  { x, gate, weight }: { x: Tensor; gate: Tensor; weight: Tensor },
  { eps = 1e-5, activation = 'silu' }: RmsNormGatedOptions = {},
): Tensor {
  const rows = toRows('rmsNormGated(x)', x);
  checkShapes('rmsNormGated', { gate: [gate, x.shape], weight: [weight, [rows.shape[1] as number]] });
  const inputs = { x: rows, gate: reshape(gate, rows.shape), weight };
  return reshape(forwardOp(inputs, { eps, activation }).y, x.shape);
}
