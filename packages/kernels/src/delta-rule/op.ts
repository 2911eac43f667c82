// The delta-rule scan as an op: its forms, and its gradient, which is an op of its own.
import { defineOp, type Tensor } from '@mnemix/tensor';
import { sequenceTensors, type SequenceTensors } from '../portable/chunk-layout.ts';
import { keptIntegers, keptOf } from '../portable/kept.ts';
import { portableForm, type ScanAttrs } from '../portable/scan-options.ts';
import { deltaRuleBackward } from './backward.ts';
import { deltaRuleChunk } from './chunk.ts';
import * as gpu from './gpu.ts';
import { deltaRuleKept, type DeltaRuleKept } from './kept.ts';
import { deltaRuleRecurrent } from './recurrent.ts';
import * as wasm from './wasm.ts';

/** Tensors of rows: see `deltaRule`. */
export type DeltaRuleInputs = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  beta?: Tensor | undefined;
  erase?: Tensor | undefined;
  logDecay?: Tensor | undefined;
  initialState?: Tensor | undefined;
} & SequenceTensors;

export type DeltaRuleAttrs = ScanAttrs & { readonly eraseBeforeDecay: boolean };

/** `corrected` [N, H, dv] is v̂, what was really written: the gradient starts from it. */
export type DeltaRuleOutputs = { o: Tensor; state: Tensor; corrected: Tensor };

/** Without a gradient of the final state where nothing depends on it. */
export type DeltaRuleGradientInputs = DeltaRuleInputs &
  DeltaRuleKept & { corrected: Tensor; dO: Tensor; dState?: Tensor | undefined };

/** In the shapes of the inputs; [0] for those that are absent. */
export type DeltaRuleGradients = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  beta: Tensor;
  erase: Tensor;
  logDecay: Tensor;
  initialState: Tensor;
};

export const deltaRuleGradientOp = defineOp<DeltaRuleGradientInputs, DeltaRuleGradients, DeltaRuleAttrs>({
  name: 'DeltaRuleGradient',
  outputs: ['q', 'k', 'v', 'beta', 'erase', 'logDecay', 'initialState'],
  integers: [...sequenceTensors, ...keptIntegers],
  portable: deltaRuleBackward,
  kernels: { ...wasm.gradientKernel, ...gpu.gradientKernel },
});

export const deltaRuleOp = defineOp<DeltaRuleInputs, DeltaRuleOutputs & DeltaRuleKept, DeltaRuleAttrs>({
  name: 'DeltaRule',
  outputs: ['o', 'state', 'corrected', ...deltaRuleKept],
  optionalOutputs: deltaRuleKept,
  integers: sequenceTensors,
  savedOutputs: ['corrected', ...deltaRuleKept],
  portable: (inputs, attrs) =>
    portableForm(attrs) === 'chunk' ? deltaRuleChunk(inputs, attrs) : deltaRuleRecurrent(inputs, attrs),
  kernels: { ...wasm.forwardKernel, ...gpu.forwardKernel },
  gradient: ({ inputs, outputs: { corrected, ...kept }, grads, used, attrs }) => {
    const dState = used.has('state') ? grads.state : undefined;
    return deltaRuleGradientOp({ ...inputs, ...keptOf(kept), corrected, dO: grads.o, dState }, attrs);
  },
});
