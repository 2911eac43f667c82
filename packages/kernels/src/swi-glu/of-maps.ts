// SwiGLU's gate of two maps of the same rows, as a node of the tape.
import { defineOp, tidy, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import { weightsOf } from '../join-rows/weights.ts';
import { gatedPlan, takesList } from '../linear/gpu.ts';
import { gradientsOfList, mapOfList } from '../linear/list.ts';
import type { ListInputs } from '../linear/portable.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';

const halves = defineOp<portable.HalvesInputs, { y: Tensor }, object>({
  name: 'SwiGluHalves',
  outputs: ['y'],
  portable: portable.forwardHalves,
  kernels: gpu.forwardHalves,
});

const halvesBackward = defineOp<portable.HalvesBackwardInputs, { dx: Tensor }, object>({
  name: 'SwiGluHalvesBackward',
  outputs: ['dx'],
  portable: portable.backwardHalves,
  kernels: gpu.backwardHalves,
});

/** `h`: both maps side by side, which the gradient needs again. */
const op = defineOp<ListInputs, { y: Tensor; h: Tensor }, object>({
  name: 'SwiGluOfMaps',
  outputs: ['y', 'h'],
  savedOutputs: ['h'],
  portable: (inputs) => {
    const h = mapOfList(inputs, {}).y;
    return { y: halves({ x: h }, {}).y, h };
  },
  kernels: gpuKernel<ListInputs, object>(gatedPlan),
  gradient: ({ inputs, outputs: { h }, grads }) =>
    gradientsOfList(inputs, halvesBackward({ x: h, dy: grads.y }, {}).dx),
});

/** silu(W_gate x) ⊙ W_up x, both maps made as one. */
export const gateOfMaps = (x: Tensor, gate: Tensor, up: Tensor): Tensor2D =>
  tidy(() => op({ x, ...weightsOf([gate, up], { x }, takesList(true)) }, {}).y as Tensor2D);
