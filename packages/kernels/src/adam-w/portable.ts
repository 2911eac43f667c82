// AdamW and norms in tensor ops.
import { add, div, minimum, mul, scalar, sqrt, square, stack, sub, sum, type Tensor } from '@mnemix/tensor';

/** Of each parameter i `param<i>`, `grad<i>`, `m<i>` and `v<i>`; and `gradScale`, if there is one. */
export type Inputs = Record<string, Tensor | undefined>;
/** Of each parameter i `param<i>`, `m<i>` and `v<i>`. */
export type Outputs = Record<string, Tensor>;
export interface Attrs {
  readonly settings: readonly Settings[];
  /** The caller gives away `param`, `m` and `v`: a backend may write over them. */
  readonly isInPlace: boolean;
}
/** Of one parameter. */
export interface Settings {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The gradient is multiplied by it, and by the tensor `gradScale` where there is one. */
  readonly gradFactor: number;
  /** 1 − η·decay. */
  readonly keep: number;
  /** η/(1−β₁ᵗ). */
  readonly stepSize: number;
  /** 1/√(1−β₂ᵗ). */
  readonly rootScale: number;
}

/** The names of all parameters' outputs, in order. */
export const outputNames = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => [`param${i}`, `m${i}`, `v${i}`]).flat();

export function step(inputs: Inputs, { settings }: Attrs): Outputs {
  const updated = settings.map((own, i): [string, Tensor][] => {
    const [param, grad, m, v] = ['param', 'grad', 'm', 'v'].map(
      (name) => inputs[`${name}${i}`] as Tensor,
    ) as [Tensor, Tensor, Tensor, Tensor];
    const { beta1, beta2, epsilon, gradFactor, keep, stepSize, rootScale } = own;
    const scaled = mul(grad, gradFactor);
    const g = inputs['gradScale'] ? mul(scaled, inputs['gradScale']) : scaled;
    const mean = add(mul(m, beta1), mul(g, 1 - beta1));
    const meanSquare = add(mul(v, beta2), mul(square(g), 1 - beta2));
    const update = div(mean, add(mul(sqrt(meanSquare), rootScale), epsilon));
    return [
      [`param${i}`, sub(mul(param, keep), mul(update, stepSize))],
      [`m${i}`, mean],
      [`v${i}`, meanSquare],
    ];
  });
  return Object.fromEntries(updated.flat());
}

export type Norms = { norms: Tensor; norm: Tensor; clipFactor: Tensor };
export interface NormAttrs {
  readonly clipNorm: number;
}

/** Keeps the factor finite for a gradient of nothing but zeros; PyTorch's `clip_grad_norm_` has it too. */
export const CLIP_EPSILON = 1e-6;

export function norms(tensors: Record<string, Tensor>, { clipNorm }: NormAttrs): Norms {
  const each = stack(Object.values(tensors).map((x) => (x.size === 0 ? scalar(0) : sqrt(sum(square(x))))));
  const norm = sqrt(sum(square(each)));
  return { norms: each, norm, clipFactor: minimum(div(scalar(clipNorm), add(norm, CLIP_EPSILON)), 1) };
}
