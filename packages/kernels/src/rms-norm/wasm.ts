// RMSNorm by the SIMD kernels of assembly/rms-norm.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }],
  run: ({ exports, inputs: { x, weight }, outputs: [y = 0], shapes, attrs }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.rmsNorm(x, weight, y, rows, width, attrs.eps);
  },
});

export const backward = wasmKernel<BackwardInputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }, { shape: [x.shape[1] as number] }],
  run: ({ exports, inputs: { x, weight, dy }, outputs: [dx = 0, dWeight = 0], shapes, attrs }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.rmsNormBackward(x, weight, dy, dx, dWeight, rows, width, attrs.eps);
  },
});
