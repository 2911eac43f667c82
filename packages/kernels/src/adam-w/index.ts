// AdamW, and the norm that gradients are clipped by.
import { checkConfig, checkShapes, defineOp, type Scalar, type Tensor } from '@mnemix/tensor';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const stepOp = defineOp<portable.Inputs, portable.Outputs, portable.Attrs>({
  name: 'AdamW',
  outputs: ['param', 'm', 'v'],
  portable: portable.step,
  kernels: wasm.step,
});

const normOp = defineOp<Record<string, Tensor>, { norm: Tensor }, object>({
  name: 'GlobalNorm',
  outputs: ['norm'],
  portable: portable.norm,
  kernels: wasm.norm,
});

export interface AdamWOptions {
  readonly learningRate: number;
  /** Decay of the running mean of the gradient. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the running mean of its square. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled from the gradient. Default 0. */
  readonly weightDecay?: number;
  /** Number of this step, counted from 1. */
  readonly step: number;
  /** The gradient is multiplied by it first, e.g. to clip it. A tensor stays on the device. Default 1. */
  readonly gradScale?: Scalar | number;
}

export interface AdamWTensors {
  readonly param: Tensor;
  /** Running mean of the gradient. */
  readonly m: Tensor;
  /** Running mean of its square. */
  readonly v: Tensor;
}

/**
 * One step of AdamW (Loshchilov & Hutter 2019) for one tensor, in PyTorch's form. With g = gradScale·grad:
 * m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
 * p ← p(1 − η·decay) − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε).
 *
 * @param tensors all of one shape
 * @returns new tensors; those passed in stay as they are. No gradient flows through.
 * @throws MnemixError `shape`; `config` for a step below 1
 */
export function adamW(
  { param, grad, m, v }: AdamWTensors & { readonly grad: Tensor },
  {
    learningRate,
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
    weightDecay = 0,
    step,
    gradScale = 1,
  }: AdamWOptions,
): AdamWTensors {
  checkShapes('adamW', { grad: [grad, param.shape], m: [m, param.shape], v: [v, param.shape] });
  checkConfig(
    Number.isInteger(step) && step >= 1,
    'adamW(step)',
    `${step} is no step.`,
    'Count steps from 1.',
  );
  const [scale, factor] = typeof gradScale === 'number' ? [undefined, gradScale] : [gradScale, 1];
  checkShapes('adamW', { gradScale: [scale, []] });
  return stepOp(
    { param, grad, m, v, gradScale: scale },
    {
      beta1,
      beta2,
      epsilon,
      gradFactor: factor,
      keep: 1 - learningRate * weightDecay,
      // lr·m̂/(√v̂ + ε) with both corrections taken out of the loop over elements.
      stepSize: learningRate / (1 - beta1 ** step),
      rootScale: 1 / Math.sqrt(1 - beta2 ** step),
    },
  );
}

/**
 * ‖g‖ = √(Σ‖gᵢ‖²) over a list of tensors, as a scalar on the device. A constant to gradients.
 *
 * @throws MnemixError `config` for an empty list
 */
export function globalNorm(tensors: readonly Tensor[]): Scalar {
  checkConfig(tensors.length > 0, 'globalNorm(tensors)', 'the list is empty.', 'Pass at least one tensor.');
  return normOp(Object.fromEntries(tensors.entries()), {}).norm as Scalar;
}
