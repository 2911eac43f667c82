// The log-decay gate in tensor ops, over rows.
import { add, exp, mul, neg, sigmoid, softplus, type Tensor } from '@mnemix/tensor';
import { sumOfRows } from '../rows.ts';

export type Inputs = { a: Tensor; aLog: Tensor; dtBias: Tensor };
export type BackwardInputs = Inputs & { dg: Tensor };
export type Gradients = { dA: Tensor; dALog: Tensor; dDtBias: Tensor };

export const forward = ({ a, aLog, dtBias }: Inputs): { g: Tensor } => ({
  g: neg(mul(exp(aLog), softplus(add(a, dtBias)))),
});

export function backward({ a, aLog, dtBias, dg }: BackwardInputs): Gradients {
  const z = add(a, dtBias);
  const rate = neg(exp(aLog));
  const dA = mul(dg, mul(rate, sigmoid(z)));
  return { dA, dALog: mul(rate, sumOfRows(mul(dg, softplus(z)))), dDtBias: sumOfRows(dA) };
}
