// RMSNorm over the last axis.
import { checkShapes, defineOp, reshape, type Tensor } from '@mnemix/tensor';
import { toRows } from '../rows.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, portable.Attrs>({
  name: 'RmsNormBackward',
  outputs: ['dx', 'dWeight'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, portable.Attrs>({
  name: 'RmsNorm',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads, attrs }) => {
    const { dx, dWeight } = backwardOp({ ...inputs, dy: grads.y }, attrs);
    return { x: dx, weight: dWeight };
  },
});

export interface RmsNormOptions {
  /** Added to the mean square. Default 1e-5. */
  readonly eps?: number;
}

/**
 * Root-mean-square normalisation (Zhang & Sennrich 2019): y = w ⊙ x·(mean x² + ε)^{−1/2}, the mean over the
 * last axis.
 *
 * Gradients, with r = (mean x² + ε)^{−1/2}, x̂ = r·x and h = dy ⊙ w: dx = r(h − x̂·mean(h ⊙ x̂)) and
 * dw = Σ dy ⊙ x̂.
 *
 * @param inputs.x [..., D]
 * @param inputs.weight [D]; ones if absent
 * @returns [..., D]
 * @throws MnemixError `shape`
 */
export function rmsNorm(
  { x, weight }: { x: Tensor; weight?: Tensor },
  { eps = 1e-5 }: RmsNormOptions = {},
): Tensor {
  const rows = toRows('rmsNorm(x)', x);
  checkShapes('rmsNorm', { weight: [weight, [rows.shape[1] as number]] });
  return reshape(forwardOp({ x: rows, weight }, { eps }).y, x.shape);
}
