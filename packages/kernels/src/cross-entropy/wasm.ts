// Cross-entropy by the SIMD kernels of assembly/cross-entropy.ts.
import { wasmKernel } from '../wasm/bridge.ts';
import type { Attrs, BackwardInputs, Inputs } from './portable.ts';

export const forward = wasmKernel<Inputs, Attrs>({
  outputs: ({ targets: { shape } }) => [{ shape: [] }, { shape: [] }, { shape: [] }, { shape }, { shape }],
  run: ({ exports, inputs: { logits, targets }, outputs, shapes, attrs }) => {
    const [rows = 0, classes = 0] = shapes.logits;
    const [loss = 0, correct = 0, counted = 0, largest = 0, logSum = 0] = outputs;
    exports.crossEntropy(
      logits,
      targets,
      loss,
      correct,
      counted,
      largest,
      logSum,
      rows,
      classes,
      attrs.ignoreIndex,
    );
  },
});

export const backward = wasmKernel<BackwardInputs, Attrs>({
  outputs: ({ logits }) => [{ shape: logits.shape }],
  run: ({ exports, inputs, outputs: [dLogits = 0], shapes, attrs }) => {
    const { logits, targets, largest, logSum, counted, dLoss } = inputs;
    const [rows = 0, classes = 0] = shapes.logits;
    exports.crossEntropyBackward(
      logits,
      targets,
      largest,
      logSum,
      counted,
      dLoss,
      dLogits,
      rows,
      classes,
      attrs.ignoreIndex,
    );
  },
});
