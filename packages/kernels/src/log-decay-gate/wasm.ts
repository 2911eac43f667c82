// The log-decay gate by the SIMD kernels of assembly/log-decay-gate.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, object>({
  outputs: ({ a }) => [{ shape: a.shape }],
  run: ({ exports, inputs: { a, aLog, dtBias }, outputs: [g = 0], shapes }) => {
    const [rows = 0, heads = 0] = shapes.a;
    exports.logDecayGate(a, aLog, dtBias, g, rows, heads);
  },
});

export const backward = wasmKernel<BackwardInputs, object>({
  outputs: ({ a, aLog, dtBias }) => [{ shape: a.shape }, { shape: aLog.shape }, { shape: dtBias.shape }],
  run: ({ exports, inputs: { a, aLog, dtBias, dg }, outputs: [dA = 0, dALog = 0, dDtBias = 0], shapes }) => {
    const [rows = 0, heads = 0] = shapes.a;
    exports.logDecayGateBackward(a, aLog, dtBias, dg, dA, dALog, dDtBias, rows, heads);
  },
});
