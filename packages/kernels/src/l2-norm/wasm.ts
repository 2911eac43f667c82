// L2 normalisation by the SIMD kernels of assembly/l2-norm.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, BackwardInputs, Inputs, PairBackwardInputs, PairInputs } from './portable.ts';

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

export const pairForward = wasmKernel<PairInputs, Attrs>({
  outputs: ({ x, z }) => [{ shape: x.shape }, { shape: z.shape }],
  run: ({ exports, inputs: { x, z }, outputs: [y = 0, yOfZ = 0], shapes, attrs: { eps } }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.l2Norm(x, y, rows, width, eps);
    exports.l2Norm(z, yOfZ, rows, width, eps);
  },
});

export const pairBackward = wasmKernel<PairBackwardInputs, Attrs>({
  outputs: ({ x, z }) => [{ shape: x.shape }, { shape: z.shape }],
  run: ({ exports, inputs: { x, z, dy, dyOfZ }, outputs: [dx = 0, dz = 0], shapes, attrs: { eps } }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.l2NormBackward(x, dy, dx, rows, width, eps);
    exports.l2NormBackward(z, dyOfZ, dz, rows, width, eps);
  },
});
