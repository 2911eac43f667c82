// The scan with a diagonal plus low-rank transition as an op: its forms, and its gradient, which is an op of
// its own.
import { defineOp, type Tensor } from '@mnemix/tensor';
import { sequenceTensors, type SequenceTensors } from '../portable/chunk-layout.ts';
import { keptIntegers, keptNames, keptOf, type Kept } from '../portable/kept.ts';
import { portableForm, type ScanAttrs } from '../portable/scan-options.ts';
import { diagonalPlusLowRankBackward } from './backward.ts';
import { diagonalPlusLowRankChunk } from './chunk.ts';
import * as gpu from './gpu.ts';
import { diagonalPlusLowRankRecurrent } from './recurrent.ts';
import * as wasm from './wasm.ts';

/** Tensors of rows: see `diagonalPlusLowRank`. */
export type DiagonalPlusLowRankInputs = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  a: Tensor;
  b: Tensor;
  logDecay?: Tensor | undefined;
  initialState?: Tensor | undefined;
} & SequenceTensors;

/** `recalled` [N, H, dv] is v̂ = Sᵀa, of the state before the token: the gradient starts from it. */
export type DiagonalPlusLowRankOutputs = { o: Tensor; state: Tensor; recalled: Tensor };

/** Without a gradient of the final state where nothing depends on it. */
export type DiagonalPlusLowRankGradientInputs = DiagonalPlusLowRankInputs &
  Kept & { recalled: Tensor; dO: Tensor; dState?: Tensor | undefined };

/** In the shapes of the inputs; [0] for those that are absent. */
export type DiagonalPlusLowRankGradients = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  a: Tensor;
  b: Tensor;
  logDecay: Tensor;
  initialState: Tensor;
};

export const diagonalPlusLowRankGradientOp = defineOp<
  DiagonalPlusLowRankGradientInputs,
  DiagonalPlusLowRankGradients,
  ScanAttrs
>({
  name: 'DiagonalPlusLowRankGradient',
  outputs: ['q', 'k', 'v', 'a', 'b', 'logDecay', 'initialState'],
  integers: [...sequenceTensors, ...keptIntegers],
  portable: diagonalPlusLowRankBackward,
  kernels: { ...wasm.gradientKernel, ...gpu.gradientKernel },
});

export const diagonalPlusLowRankOp = defineOp<
  DiagonalPlusLowRankInputs,
  DiagonalPlusLowRankOutputs & Kept,
  ScanAttrs
>({
  name: 'DiagonalPlusLowRank',
  outputs: ['o', 'state', 'recalled', ...keptNames],
  optionalOutputs: keptNames,
  integers: sequenceTensors,
  savedOutputs: ['recalled', ...keptNames],
  portable: (inputs, attrs) =>
    portableForm(attrs) === 'chunk'
      ? diagonalPlusLowRankChunk(inputs, attrs)
      : diagonalPlusLowRankRecurrent(inputs, attrs),
  kernels: { ...wasm.forwardKernel, ...gpu.forwardKernel },
  gradient: ({ inputs, outputs: { recalled, ...kept }, grads, used, attrs }) => {
    const dState = used.has('state') ? grads.state : undefined;
    return diagonalPlusLowRankGradientOp(
      { ...inputs, ...keptOf(kept), recalled, dO: grads.o, dState },
      attrs,
    );
  },
});
