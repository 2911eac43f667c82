// LayerNorm by the SIMD kernels of assembly/layer-norm.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }],
  run: ({ exports, inputs: { x, weight, bias }, outputs: [y = 0], shapes, attrs: { eps, period } }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.layerNorm(x, weight, bias, y, rows, width, period, eps);
  },
});

const none = { shape: [0] };

export const backward = wasmKernel<BackwardInputs, Attrs>({
  outputs: ({ x, weight, bias }) => [x, weight ?? none, bias ?? none].map(({ shape }) => ({ shape })),
  run: ({ exports, inputs, outputs: [dx = 0, dWeight = 0, dBias = 0], shapes, attrs: { eps, period } }) => {
    const { x, weight, bias, dy } = inputs;
    const [rows = 0, width = 0] = shapes.x;
    exports.layerNormBackward(x, weight, bias, dy, dx, dWeight, dBias, rows, width, period, eps);
  },
});
