// The diagonal-decay scan as an op: its forms, and its gradient, which is an op of its own.
import { defineOp, type Tensor } from '@mnemix/tensor';
import { sequenceTensors, type SequenceTensors } from '../portable/chunk-layout.ts';
import { keptIntegers, keptNames, keptOf, type Kept } from '../portable/kept.ts';
import { portableForm, type ScanAttrs } from '../portable/scan-options.ts';
import { diagonalDecayBackward } from './backward.ts';
import { diagonalDecayChunk } from './chunk.ts';
import * as gpu from './gpu.ts';
import { diagonalDecayRecurrent } from './recurrent.ts';
import * as wasm from './wasm.ts';

/** Tensors of rows: see `diagonalDecay`. */
export type DiagonalDecayInputs = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  logDecay?: Tensor | undefined;
  bonus?: Tensor | undefined;
  initialState?: Tensor | undefined;
} & SequenceTensors;

export type DiagonalDecayOutputs = { o: Tensor; state: Tensor };

/** Without a gradient of the final state where nothing depends on it. */
export type DiagonalDecayGradientInputs = DiagonalDecayInputs &
  Kept & { dO: Tensor; dState?: Tensor | undefined };

/** In the shapes of the inputs; [0] for those that are absent. */
export type DiagonalDecayGradients = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  logDecay: Tensor;
  bonus: Tensor;
  initialState: Tensor;
};

export const diagonalDecayGradientOp = defineOp<
  DiagonalDecayGradientInputs,
  DiagonalDecayGradients,
  ScanAttrs
>({
  name: 'DiagonalDecayGradient',
  outputs: ['q', 'k', 'v', 'logDecay', 'bonus', 'initialState'],
  integers: [...sequenceTensors, ...keptIntegers],
  portable: diagonalDecayBackward,
  kernels: { ...wasm.gradientKernel, ...gpu.gradientKernel },
});

export const diagonalDecayOp = defineOp<DiagonalDecayInputs, DiagonalDecayOutputs & Kept, ScanAttrs>({
  name: 'DiagonalDecay',
  outputs: ['o', 'state', ...keptNames],
  optionalOutputs: keptNames,
  integers: sequenceTensors,
  savedOutputs: keptNames,
  portable: (inputs, attrs) =>
    portableForm(attrs) === 'chunk'
      ? diagonalDecayChunk(inputs, attrs)
      : diagonalDecayRecurrent(inputs, attrs),
  kernels: { ...wasm.forwardKernel, ...gpu.forwardKernel },
  gradient: ({ inputs, outputs, grads, used, attrs }) => {
    const dState = used.has('state') ? grads.state : undefined;
    return diagonalDecayGradientOp({ ...inputs, ...keptOf(outputs), dO: grads.o, dState }, attrs);
  },
});
