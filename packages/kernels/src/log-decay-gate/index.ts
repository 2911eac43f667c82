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

const pairBackwardOp = defineOp<
  portable.PairBackwardInputs,
  portable.Gradients & { dB: Tensor },
  portable.PairAttrs
>({
  name: 'DeltaGatesBackward',
  outputs: ['dA', 'dALog', 'dDtBias', 'dB'],
  portable: ({ a, aLog, dtBias, beta, dg, dBeta }, attrs) => ({
    ...backwardOp({ a, aLog, dtBias, dg }, {}),
    dB: portable.strengthGradient(beta, dBeta, attrs),
  }),
  kernels: gpu.pairBackward,
});

const pairForwardOp = defineOp<portable.PairInputs, { g: Tensor; beta: Tensor }, portable.PairAttrs>({
  name: 'DeltaGates',
  outputs: ['g', 'beta'],
  savedOutputs: ['beta'],
  portable: ({ b, ...inputs }, attrs) => ({
    ...forwardOp(inputs, {}),
    beta: portable.strength(b, attrs),
  }),
  kernels: gpu.pairForward,
  gradient: ({ inputs: { a, aLog, dtBias }, outputs: { beta }, grads, attrs }) => {
    const given = { a, aLog, dtBias, beta, dg: grads.g, dBeta: grads.beta };
    const slopes = pairBackwardOp(given, attrs);
    return { a: slopes.dA, aLog: slopes.dALog, dtBias: slopes.dDtBias, b: slopes.dB };
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

export interface DeltaGatesOptions {
  /** What β comes to at most: 2 for eigenvalues in (−1, 1). Default 1. */
  readonly strongest?: number;
}

/**
 * Both gates of a gated delta rule: its {@link logDecayGate} and its write strength β = strongest·σ(b).
 *
 * Gradient of the latter: db = dβ·β·(1 − β / strongest).
 *
 * @param inputs.a [..., H]
 * @param inputs.aLog [H]
 * @param inputs.dtBias [H]
 * @param inputs.b [..., H]
 * @returns both [..., H]
 * @throws MnemixError `shape`
 */
export function deltaGates(
  { a, aLog, dtBias, b }: { a: Tensor; aLog: Tensor; dtBias: Tensor; b: Tensor },
  { strongest = 1 }: DeltaGatesOptions = {},
): { logDecay: Tensor; beta: Tensor } {
  const rows = toRows('deltaGates(a)', a);
  const heads = [rows.shape[1] as number];
  checkShapes('deltaGates', { aLog: [aLog, heads], dtBias: [dtBias, heads], b: [b, a.shape] });
  const { g, beta } = pairForwardOp({ a: rows, aLog, dtBias, b: reshape(b, rows.shape) }, { strongest });
  return { logDecay: reshape(g, a.shape), beta: reshape(beta, a.shape) };
}
