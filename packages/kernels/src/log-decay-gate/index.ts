// The log-decay gate of Mamba-2, Gated DeltaNet and MoM.
import { checkShapes, defineOp, reshape, type Tensor } from '@mnemix/tensor';
import { toRows } from '../rows.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, object>({
  name: 'LogDecayGateBackward',
  outputs: ['dA', 'dALog', 'dDtBias'],
  portable: portable.backward,
  kernels: { ...wasm.backward, ...gpu.backward },
});

const forwardOp = defineOp<portable.Inputs, { g: Tensor }, object>({
  name: 'LogDecayGate',
  outputs: ['g'],
  portable: portable.forward,
  kernels: { ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads }) => {
    const { dA, dALog, dDtBias } = backwardOp({ ...inputs, dg: grads.g }, {});
    return { a: dA, aLog: dALog, dtBias: dDtBias };
  },
});

/**
 * Log decay g = −e^{aLog}·softplus(a + dtBias) ≤ 0, one per head (Dao & Gu 2024, "Transformers are SSMs").
 *
 * Gradients: da = −dg·e^{aLog}·σ(a + dtBias), d dtBias = Σ da, d aLog = Σ dg·g.
 *
 * @param inputs.a [..., H]
 * @param inputs.aLog [H]
 * @param inputs.dtBias [H]
 * @returns [..., H]
 * @throws MnemixError `shape`
 */
export function logDecayGate({ a, aLog, dtBias }: { a: Tensor; aLog: Tensor; dtBias: Tensor }): Tensor {
  const rows = toRows('logDecayGate(a)', a);
  const heads = [rows.shape[1] as number];
  checkShapes('logDecayGate', { aLog: [aLog, heads], dtBias: [dtBias, heads] });
  return reshape(forwardOp({ a: rows, aLog, dtBias }, {}).g, a.shape);
}
