// Gated RMSNorm by the SIMD kernels of assembly/rms-norm-gated.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }],
  run: ({ exports, inputs: { x, gate, weight }, outputs: [y = 0], shapes, attrs }) => {
    const [rows = 0, width = 0] = shapes.x;
    exports.rmsNormGated(x, gate, weight, y, rows, width, attrs.eps, Number(attrs.activation === 'silu'));
  },
});

export const backward = wasmKernel<BackwardInputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }, { shape: x.shape }, { shape: [x.shape[1] as number] }],
  run: ({
    exports,
    inputs: { x, gate, weight, dy },
    outputs: [dx = 0, dGate = 0, dWeight = 0],
    shapes,
    attrs,
  }) => {
    const [rows = 0, width = 0] = shapes.x;
    const isSilu = Number(attrs.activation === 'silu');
    exports.rmsNormGatedBackward(x, gate, weight, dy, dx, dGate, dWeight, rows, width, attrs.eps, isSilu);
  },
});
