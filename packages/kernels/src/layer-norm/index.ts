// LayerNorm over the last axis.
import { checkShapes, defineOp, reshape, sizeOf, type Tensor } from '@mnemix/tensor';
import { toRows } from '../rows.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, portable.Attrs>({
  name: 'LayerNormBackward',
  outputs: ['dx', 'dWeight', 'dBias'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, portable.Attrs>({
  name: 'LayerNorm',
  outputs: ['y'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads, attrs }) => {
    const { dx, dWeight, dBias } = backwardOp({ ...inputs, dy: grads.y }, attrs);
    return { x: dx, weight: dWeight, bias: dBias };
  },
});

export interface LayerNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number;
}

/**
 * Layer normalisation (Ba, Kiros & Hinton 2016): y = w ⊙ (x − mean x)·(var x + ε)^{−1/2} + b, with mean and
 * biased variance over the last axis. With weight and bias [H, D] it is a GroupNorm with one group a head.
 *
 * Gradients, with r = (var x + ε)^{−1/2}, x̂ = r(x − mean x) and h = dy ⊙ w:
 * dx = r(h − mean h − x̂·mean(h ⊙ x̂)), dw = Σ dy ⊙ x̂ and db = Σ dy.
 *
 * @param inputs.x [..., D]
 * @param inputs.weight [D], or more of x's last axes, such as [H, D] for x [..., H, D]; ones if absent
 * @param inputs.bias in the shape of the weight or, where there is none, one that a weight may have; zeros if
 * absent
 * @returns [..., D]
 * @throws MnemixError `shape`
 */
export function layerNorm(
  { x, weight, bias }: { x: Tensor; weight?: Tensor | undefined; bias?: Tensor | undefined },
  { eps = 1e-5 }: LayerNormOptions = {},
): Tensor {
  const rows = toRows('layerNorm(x)', x);
  const lastAxes = ({ rank }: Tensor) => x.shape.slice(-Math.max(rank, 1));
  checkShapes('layerNorm', {
    weight: [weight, weight ? lastAxes(weight) : []],
    bias: [bias, weight?.shape ?? (bias ? lastAxes(bias) : [])],
  });
  const width = rows.shape[1] as number;
  const period = sizeOf((weight ?? bias)?.shape.slice(0, -1) ?? []);
  const inPeriod = (affine?: Tensor) => affine && reshape(affine, [period, width]);
  const inputs = { x: rows, weight: inPeriod(weight), bias: inPeriod(bias) };
  return reshape(forwardOp(inputs, { eps, period }).y, x.shape);
}
