// AdamW and the global norm by the SIMD kernels of assembly/adam-w.ts.
import { sizeOf, type Tensor } from '@mnemix/tensor';
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, Inputs } from './portable.ts';

export const step = wasmKernel<Inputs, Attrs>({
  outputs: ({ param: { shape } }) => [{ shape }, { shape }, { shape }],
  run: ({ exports, inputs, outputs: [newParam = 0, newM = 0, newV = 0], shapes, attrs }) => {
    const { param, grad, m, v, gradScale } = inputs;
    const { gradFactor, beta1, beta2, keep, stepSize, rootScale, epsilon } = attrs;
    exports.adamW(
      param,
      grad,
      m,
      v,
      gradScale,
      newParam,
      newM,
      newV,
      sizeOf(shapes.param),
      gradFactor,
      beta1,
      beta2,
      1 - beta1,
      1 - beta2,
      keep,
      stepSize,
      rootScale,
      epsilon,
    );
  },
});

export const norm = wasmKernel<Record<string, Tensor>, object>({
  outputs: () => [{ shape: [] }],
  run: ({ exports, inputs, outputs: [result = 0], shapes }) => {
    const squares = Object.keys(shapes).map((name) =>
      exports.sumSquares(inputs[name] as number, sizeOf(shapes[name] ?? [])),
    );
    exports.storeNorm(
      result,
      squares.reduce((a, b) => a + b, 0),
    );
  },
});
