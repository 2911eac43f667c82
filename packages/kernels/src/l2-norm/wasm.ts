// L2 normalisation by the SIMD kernels of assembly/l2-norm.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }],
  run: ({ exports, inputs: { x }, outputs: [y = 0], shapes, attrs }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.l2Norm(x, y, rows, width, attrs.eps);
  },
});

export const backward = wasmKernel<BackwardInputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }],
  run: ({ exports, inputs: { x, dy }, outputs: [dx = 0], shapes, attrs }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.l2NormBackward(x, dy, dx, rows, width, attrs.eps);
  },
});
