// AdamW and norms by the SIMD kernels of assembly/adam-w.ts.
import { sizeOf, type Tensor, type TensorInfo } from '@mnemix/tensor';
import { wasmKernel } from '../wasm/bridge.ts';
import { CLIP_EPSILON, outputNames, type Attrs, type Inputs, type NormAttrs } from './portable.ts';

export const step = wasmKernel<Inputs, Attrs>({
  outputs: (inputs, { settings }) =>
    outputNames(settings.length).map((name) => ({ shape: (inputs[name] as TensorInfo).shape })),
  run: ({ exports, inputs, outputs, shapes, attrs: { settings } }) => {
    settings.forEach((own, i) => {
      const { gradFactor, beta1, beta2, keep, stepSize, rootScale, epsilon } = own;
      const [newParam = 0, newM = 0, newV = 0] = outputs.slice(3 * i);
      exports.adamW(
        inputs[`param${i}`] as number,
        inputs[`grad${i}`] as number,
        inputs[`m${i}`] as number,
        inputs[`v${i}`] as number,
        inputs['gradScale'] as number,
        newParam,
        newM,
        newV,
        sizeOf(shapes[`param${i}`] as readonly number[]),
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
    });
  },
});

export const norms = wasmKernel<Record<string, Tensor>, NormAttrs>({
  outputs: (tensors) => [{ shape: [Object.keys(tensors).length] }, { shape: [] }, { shape: [] }],
  run: ({ exports, inputs, outputs: [each = 0, whole = 0, clipFactor = 0], shapes, attrs: { clipNorm } }) => {
    let total = 0;
    Object.keys(shapes).forEach((name, i) => {
      const squares = exports.sumSquares(inputs[name] as number, sizeOf(shapes[name] as readonly number[]));
      exports.storeNumber(each + 4 * i, Math.sqrt(squares));
      total += squares;
    });
    const norm = Math.sqrt(total);
    exports.storeNumber(whole, norm);
    exports.storeNumber(clipFactor, Math.min(1, clipNorm / (norm + CLIP_EPSILON)));
  },
});
