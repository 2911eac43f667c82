// RMSNorm over the last axis.
import { add, checkShapes, defineOp, reshape, type Tensor } from '@mnemix/tensor';
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

const addBackwardOp = defineOp<portable.AddBackwardInputs, portable.Gradients, portable.Attrs>({
  name: 'AddRmsNormBackward',
  outputs: ['dx', 'dWeight'],
  portable: ({ dSum, ...inputs }, attrs) => {
    const { dx, dWeight } = backwardOp(inputs, attrs);
    return { dx: add(dx, dSum), dWeight };
  },
  kernels: gpu.addBackward,
});

const addForwardOp = defineOp<portable.AddInputs, { sum: Tensor; y: Tensor }, portable.Attrs>({
  name: 'AddRmsNorm',
  outputs: ['sum', 'y'],
  savedOutputs: ['sum'],
  portable: ({ x, added, weight }, attrs) => {
    const sum = add(x, added);
    return { sum, ...forwardOp({ x: sum, weight }, attrs) };
  },
  kernels: gpu.addForward,
  gradient: ({ inputs: { weight }, outputs: { sum }, grads, attrs }) => {
    const { dx, dWeight } = addBackwardOp({ x: sum, weight, dy: grads.y, dSum: grads.sum }, attrs);
    // The tape frees what each has gathered.
    return { x: dx, added: dx.clone(), weight: dWeight };
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

/**
 * A residual stream's next sum and its norm: sum = x + added, y = {@link rmsNorm}(sum), in one pass where the backend has a kernel for it.
 *
 * Gradients: dx = d added = d sum + what the norm gives its input.
 *
 * @param inputs.x [..., D]
 * @param inputs.added in the shape of x
 * @param inputs.weight [D]
 * @returns both [..., D]
 * @throws MnemixError `shape`
 */
export function addRmsNorm(
  { x, added, weight }: { x: Tensor; added: Tensor; weight: Tensor },
  { eps = 1e-5 }: RmsNormOptions = {},
): { sum: Tensor; y: Tensor } {
  const rows = toRows('addRmsNorm(x)', x);
  checkShapes('addRmsNorm', { added: [added, x.shape], weight: [weight, [rows.shape[1] as number]] });
  const { sum, y } = addForwardOp({ x: rows, added: reshape(added, rows.shape), weight }, { eps });
  return { sum: reshape(sum, x.shape), y: reshape(y, x.shape) };
}
