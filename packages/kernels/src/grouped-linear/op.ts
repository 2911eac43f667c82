// The grouped linear map as a node of the tape.
import { defineOp, type Tensor } from '@mnemix/tensor';
import { sequenceTensors } from '../portable/chunk-layout.ts';
import * as cpu from './cpu.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import * as wasm from './wasm.ts';

const backwardOp = defineOp<portable.BackwardInputs, portable.Gradients, object>({
  name: 'GroupedLinearBackward',
  outputs: ['dx', 'dWeight', 'dBias'],
  integers: sequenceTensors,
  portable: portable.backward,
  kernels: { ...cpu.backward, ...wasm.backward, ...gpu.backward },
});

export const forwardOp = defineOp<portable.Inputs, { y: Tensor }, object>({
  name: 'GroupedLinear',
  outputs: ['y'],
  integers: sequenceTensors,
  portable: portable.forward,
  kernels: { ...cpu.forward, ...wasm.forward, ...gpu.forward },
  gradient: ({ inputs, grads }) => {
    const { dx, dWeight, dBias } = backwardOp({ ...inputs, dy: grads.y }, {});
    return { x: dx, weight: dWeight, bias: dBias };
  },
});
