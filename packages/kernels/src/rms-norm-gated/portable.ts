// Gated RMSNorm in tensor ops, over rows.
import { mean, mul, sigmoid, sub, type Tensor } from '@mnemix/tensor';
import { sumOfRows } from '../rows.ts';
import { siluWithSlope } from '../portable/silu.ts';
import { inverseRms } from '../rms-norm/portable.ts';

export type Activation = 'silu' | 'sigmoid';
export type Inputs = { x: Tensor; gate: Tensor; weight: Tensor };
export type BackwardInputs = Inputs & { dy: Tensor };
export type Gradients = { dx: Tensor; dGate: Tensor; dWeight: Tensor };
export interface Attrs {
  readonly eps: number;
  readonly activation: Activation;
}

export function forward({ x, gate, weight }: Inputs, { eps, activation }: Attrs): { y: Tensor } {
  const normal = mul(x, inverseRms(x, eps));
  return { y: mul(mul(normal, weight), activate(gate, activation).value) };
}

export function backward({ x, gate, weight, dy }: BackwardInputs, { eps, activation }: Attrs): Gradients {
  const factor = inverseRms(x, eps);
  const normal = mul(x, factor);
  const { value, slope } = activate(gate, activation);
  const gated = mul(dy, value);
  const h = mul(gated, weight);
  return {
    dx: mul(factor, sub(h, mul(normal, mean(mul(h, normal), -1, true)))),
    dGate: mul(mul(dy, mul(normal, weight)), slope),
    dWeight: sumOfRows(mul(gated, normal)),
  };
}

/** act(z) and act′(z). */
function activate(z: Tensor, activation: Activation): { value: Tensor; slope: Tensor } {
  if (activation === 'silu') return siluWithSlope(z);
  const value = sigmoid(z);
  return { value, slope: mul(value, sub(1, value)) };
}
