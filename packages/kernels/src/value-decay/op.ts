// The value-decay scan as an op: its forms, and its gradient, which is an op of its own.
import { defineOp, type Tensor } from '@mnemix/tensor';
import { sequenceTensors, type SequenceTensors } from '../portable/chunk-layout.ts';
import { portableForm, type ScanAttrs } from '../portable/scan-options.ts';
import { valueDecayBackward } from './backward.ts';
import { valueDecayChunk } from './chunk.ts';
import { valueDecayRecurrent } from './recurrent.ts';
import { forwardKernel, gradientKernel } from './wasm.ts';

/** Tensors of rows: see `valueDecay`. */
export type ValueDecayInputs = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  logDecay: Tensor;
  initialState?: Tensor | undefined;
} & SequenceTensors;

export type ValueDecayOutputs = { o: Tensor; state: Tensor };

export type ValueDecayGradientInputs = ValueDecayInputs & { dO: Tensor; dState: Tensor };

/** In the shapes of the inputs. */
export type ValueDecayGradients = {
  q: Tensor;
  k: Tensor;
  v: Tensor;
  logDecay: Tensor;
  initialState: Tensor;
};

const gradientOp = defineOp<ValueDecayGradientInputs, ValueDecayGradients, ScanAttrs>({
  name: 'ValueDecayGradient',
  outputs: ['q', 'k', 'v', 'logDecay', 'initialState'],
  integers: sequenceTensors,
  portable: valueDecayBackward,
  kernels: gradientKernel,
});

export const valueDecayOp = defineOp<ValueDecayInputs, ValueDecayOutputs, ScanAttrs>({
  name: 'ValueDecay',
  outputs: ['o', 'state'],
  integers: sequenceTensors,
  portable: (inputs, attrs) =>
    portableForm(attrs) === 'chunk' ? valueDecayChunk(inputs, attrs) : valueDecayRecurrent(inputs, attrs),
  kernels: forwardKernel,
  gradient: ({ inputs, grads, attrs }) => gradientOp({ ...inputs, dO: grads.o, dState: grads.state }, attrs),
});
