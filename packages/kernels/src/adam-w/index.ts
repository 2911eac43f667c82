// AdamW, and the norms that gradients are clipped by: for many tensors at once.
import {
  checkConfig,
  checkShapes,
  defineOp,
  type Op,
  type Scalar,
  type Tensor,
  type Tensor1D,
} from '@mnemix/tensor';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

type StepOp = Op<portable.Inputs, portable.Outputs, portable.Attrs>;
const stepOps = new Map<number, StepOp>();

/** The op for so many parameters. */
function stepOp(count: number): StepOp {
  const known = stepOps.get(count);
  if (known) return known;
  const op: StepOp = defineOp({
    name: 'AdamW',
    outputs: portable.outputNames(count),
    portable: portable.step,
    kernels: { ...wasm.step, ...gpu.step },
  });
  stepOps.set(count, op);
  return op;
}

const normOp = defineOp<Record<string, Tensor>, portable.Norms, portable.NormAttrs>({
  name: 'GlobalNorm',
  outputs: ['norms', 'norm', 'clipFactor'],
  portable: portable.norms,
  kernels: { ...wasm.norms, ...gpu.norms },
});

/** What may differ from parameter to parameter. */
export interface AdamWSettings {
  readonly learningRate: number;
  /** Decay of the running mean of the gradient. Default 0.9. */
  readonly beta1?: number;
  /** Decay of the running mean of its square. Default 0.999. */
  readonly beta2?: number;
  /** Added to the root of the mean square. Default 1e-8. */
  readonly epsilon?: number;
  /** Decoupled from the gradient. Default 0. */
  readonly weightDecay?: number;
}

/** What all parameters of a step share. */
export interface AdamWStep {
  /** Number of this step, counted from 1. */
  readonly step: number;
  /** The gradients are multiplied by it first, e.g. to clip them. A tensor stays on the device. Default 1. */
  readonly gradScale?: Scalar | number;
  /** Frees the tensors of the parameters. On WebGPU the new ones then take over their memory, unless others share it. Default false. */
  readonly consume?: boolean;
}

export interface AdamWTensors {
  readonly param: Tensor;
  /** Running mean of the gradient. */
  readonly m: Tensor;
  /** Running mean of its square. */
  readonly v: Tensor;
}

/** A parameter before a step. */
export type AdamWParameter = AdamWTensors & AdamWSettings & { readonly grad: Tensor };

/**
 * One step of AdamW (Loshchilov & Hutter 2019) for each of several tensors, in PyTorch's form. With
 * g = gradScale·grad: m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
 * p ← p(1 − η·decay) − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε).
 *
 * On WebGPU several tensors share a dispatch, as many as the device binds buffers for.
 *
 * @param parameters the tensors of one all of one shape
 * @returns new tensors; those passed in stay as they are, unless they are consumed. No gradient flows through.
 * @throws MnemixError `shape`; `config` for a step below 1
 */
export function adamWAll(
  parameters: readonly AdamWParameter[],
  { step, gradScale = 1, consume = false }: AdamWStep,
): AdamWTensors[] {
  checkConfig(
    Number.isInteger(step) && step >= 1,
    'adamW(step)',
    `${step} is no step.`,
    'Count steps from 1.',
  );
  const [scale, gradFactor] = typeof gradScale === 'number' ? [undefined, gradScale] : [gradScale, 1];
  checkShapes('adamW', { gradScale: [scale, []] });
  const inputs: Record<string, Tensor | undefined> = {};
  const settings = parameters.map(({ param, grad, m, v, ...own }, i) => {
    checkShapes('adamW', { grad: [grad, param.shape], m: [m, param.shape], v: [v, param.shape] });
    inputs[`param${i}`] = param;
    inputs[`grad${i}`] = grad;
    inputs[`m${i}`] = m;
    inputs[`v${i}`] = v;
    const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = own;
    return {
      beta1,
      beta2,
      epsilon,
      gradFactor,
      keep: 1 - learningRate * weightDecay,
      // lr·m̂/(√v̂ + ε) with both corrections taken out of the loop over elements.
      stepSize: learningRate / (1 - beta1 ** step),
      rootScale: 1 / Math.sqrt(1 - beta2 ** step),
    };
  });
  const made = stepOp(parameters.length)({ ...inputs, gradScale: scale }, { settings, isInPlace: consume });
  if (consume) for (const tensor of Object.values(inputs)) tensor?.dispose();
  return settings.map((_, i) => ({
    param: made[`param${i}`] as Tensor,
    m: made[`m${i}`] as Tensor,
    v: made[`v${i}`] as Tensor,
  }));
}

/** {@link adamWAll} for one tensor. */
export function adamW(
  tensors: AdamWTensors & { readonly grad: Tensor },
  { step, gradScale, consume, ...settings }: AdamWSettings & AdamWStep,
): AdamWTensors {
  const [made] = adamWAll([{ ...tensors, ...settings }], {
    step,
    ...(gradScale !== undefined && { gradScale }),
    ...(consume !== undefined && { consume }),
  });
  return made as AdamWTensors;
}

export interface GlobalNorms {
  /** ‖g_i‖ of each tensor [count]. */
  readonly norms: Tensor1D;
  /** ‖g‖ = √(Σ‖g_i‖²). */
  readonly norm: Scalar;
  /** min(1, clipNorm / (‖g‖ + 1e-6)): what scales longer gradients down to the norm; PyTorch's `clip_grad_norm_`. */
  readonly clipFactor: Scalar;
}

/**
 * Norms of a list of tensors, each and all together, on the device. Constants to gradients. Sums are in a fixed order: the
 * same bits for the same tensors.
 *
 * @param options.clipNorm default ∞: no clipping
 * @throws MnemixError `config` for an empty list
 */
export function globalNorms(
  tensors: readonly Tensor[],
  { clipNorm = Infinity }: { readonly clipNorm?: number | undefined } = {},
): GlobalNorms {
  checkConfig(tensors.length > 0, 'globalNorm(tensors)', 'the list is empty.', 'Pass at least one tensor.');
  return normOp(Object.fromEntries(tensors.entries()), { clipNorm }) as unknown as GlobalNorms;
}

/** The norm of {@link globalNorms} alone. */
export function globalNorm(tensors: readonly Tensor[]): Scalar {
  const { norms, norm, clipFactor } = globalNorms(tensors);
  norms.dispose();
  clipFactor.dispose();
  return norm;
}
