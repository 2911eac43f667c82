// The log-decay gate in tensor ops, over rows.
import { add, div, exp, mul, neg, sigmoid, softplus, sub, type Tensor } from '@mnemix/tensor';
import { sumOfRows } from '../rows.ts';

export type Inputs = { a: Tensor; aLog: Tensor; dtBias: Tensor };
export type BackwardInputs = Inputs & { dg: Tensor };
export type Gradients = { dA: Tensor; dALog: Tensor; dDtBias: Tensor };
export type PairInputs = Inputs & { b: Tensor };
export type PairBackwardInputs = Inputs & { beta: Tensor; dg: Tensor; dBeta: Tensor };
export interface PairAttrs {
  /** What β comes to at most. */
  readonly strongest: number;
}

export const forward = ({ a, aLog, dtBias }: Inputs): { g: Tensor } => ({
  g: neg(mul(exp(aLog), softplus(add(a, dtBias)))),
});

export function backward({ a, aLog, dtBias, dg }: BackwardInputs): Gradients {
  const z = add(a, dtBias);
  const rate = neg(exp(aLog));
  const dA = mul(dg, mul(rate, sigmoid(z)));
  return { dA, dALog: mul(rate, sumOfRows(mul(dg, softplus(z)))), dDtBias: sumOfRows(dA) };
}

export const strength = (b: Tensor, { strongest }: PairAttrs): Tensor =>
  strongest === 1 ? sigmoid(b) : mul(sigmoid(b), strongest);

export const strengthGradient = (beta: Tensor, dBeta: Tensor, { strongest }: PairAttrs): Tensor =>
  mul(dBeta, mul(beta, sub(1, strongest === 1 ? beta : div(beta, strongest))));
