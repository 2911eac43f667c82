// SwiGLU's gate by the SIMD kernels of assembly/swi-glu.ts.
import { sizeOf } from '@mnemix/tensor';
import { wasmKernel } from '../wasm/bridge.ts';
import type { BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, object>({
  outputs: ({ gate }) => [{ shape: gate.shape }],
  run: ({ exports, inputs: { gate, up }, outputs: [y = 0], shapes }) => {
    exports.swiGlu(gate, up, y, sizeOf(shapes.gate));
  },
});

export const backward = wasmKernel<BackwardInputs, object>({
  outputs: ({ gate }) => [{ shape: gate.shape }, { shape: gate.shape }],
  run: ({ exports, inputs: { gate, up, dy }, outputs: [dGate = 0, dUp = 0], shapes }) => {
    exports.swiGluBackward(gate, up, dy, dGate, dUp, sizeOf(shapes.gate));
  },
});
