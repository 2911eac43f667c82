// Short convolutions as nodes of the tape: one alone, and on WebGPU several at once.
import { defineOp, zeros, type Op, type Tensor } from '@mnemix/tensor';
import { byCount } from '../by-count.ts';
import { sequenceTensors } from '../portable/chunk-layout.ts';
import * as gpu from './gpu.ts';
import { named, nameOf, partOf, type PartsAttrs, type Tensors } from './named.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const INPUTS = ['x', 'weight', 'bias', 'initialState'] as const;
const OUTPUTS = ['y', 'state'] as const;
const GRADIENTS = ['dx', 'dWeight', 'dBias', 'dInitialState'] as const;

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, portable.Attrs>({
  name: 'ShortConvBackward',
  outputs: GRADIENTS,
  integers: sequenceTensors,
  portable: portable.backward,
  kernels: wasm.backward,
});

export const forwardOp = defineOp<portable.Inputs, portable.Outputs, portable.Attrs>({
  name: 'ShortConv',
  outputs: OUTPUTS,
  integers: sequenceTensors,
  portable: portable.forward,
  kernels: wasm.forward,
  gradient: ({ inputs, grads, attrs }) => {
    const given = { ...inputs, dy: grads.y, dState: grads.state };
    return inputGradients(backwardOp(given, attrs));
  },
});

const inputGradients = ({ dx, dWeight, dBias, dInitialState }: portable.Gradients) => ({
  x: dx,
  weight: dWeight,
  bias: dBias,
  initialState: dInitialState,
});

/** Inputs x0, weight0, bias0, initialState0, x1, …, which all have or go without a bias or a state; outputs y0, state0, y1, … */
export const partsOp = byCount((count) => makePartsOp(count));

function makePartsOp(count: number): Op<Tensors, Tensors, PartsAttrs> {
  const all = (names: readonly string[]): string[] =>
    Array.from({ length: count }, (_, i) => names.map((name) => nameOf(name, i))).flat();
  const backward = defineOp<Tensors, Tensors, PartsAttrs>({
    name: `ShortConvs${count}Backward`,
    outputs: all(GRADIENTS),
    integers: sequenceTensors,
    portable: partByPart<portable.BackwardInputs>([...INPUTS, 'dy', 'dState'], (own, attrs) =>
      portable.backward({ ...own, dState: own.dState ?? noStates(own) }, attrs),
    ),
    kernels: gpu.backward,
  });
  return defineOp<Tensors, Tensors, PartsAttrs>({
    name: `ShortConvs${count}`,
    outputs: all(OUTPUTS),
    integers: sequenceTensors,
    portable: partByPart(INPUTS, portable.forward),
    kernels: gpu.forward,
    gradient: ({ inputs, grads, used, attrs }) => {
      const isContinued = attrs.activations.some((_, i) => used.has(nameOf('state', i)));
      const upstream = named(
        attrs.activations.map((_, i) => ({
          dy: grads[nameOf('y', i)],
          dState: isContinued ? grads[nameOf('state', i)] : undefined,
        })),
      );
      const made = backward({ ...inputs, ...upstream }, attrs);
      return named(attrs.activations.map((_, i) => inputGradients(partOf(made, GRADIENTS, i))));
    },
  });
}

/** Where nothing depends on the states behind the sequences, no gradient of them is passed. */
const noStates = ({ weight, lengths }: portable.BackwardInputs): Tensor => {
  const [channels = 0, , width = 0] = weight.shape;
  return zeros([lengths.size, channels, width]);
};

const partByPart =
  <I>(names: readonly string[], one: (inputs: I, attrs: portable.Attrs) => object) =>
  (inputs: Tensors, { activations }: PartsAttrs): Tensors => {
    const { starts, lengths, rowSequence } = inputs;
    return named(
      activations.map((activation, i) =>
        one({ ...partOf(inputs, names, i), starts, lengths, rowSequence } as I, { activation }),
      ),
    );
  };
