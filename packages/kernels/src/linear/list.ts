// The linear map whose weight is the rows of a list of weights, as nodes of the tape.
import { defineOp, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { byCount } from '../by-count.ts';
import { namesOf, type Parts } from '../join-rows/parts.ts';
import { partsOf, weightsOf } from '../join-rows/weights.ts';
import { splitMap } from '../split-columns/index.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';

type Inputs = portable.ListInputs;

const backwardOp = byCount((count) =>
  defineOp<portable.ListBackwardInputs, Parts, object>({
    name: `LinearOfListBackward${count}`,
    outputs: ['dx', ...namesOf(count)],
    portable: portable.backwardOfList,
    kernels: gpu.backwardOfList,
  }),
);

function gradients(inputs: Inputs, dy: Tensor) {
  const { dx, ...parts } = backwardOp(Object.keys(partsOf(inputs)).length)({ ...inputs, dy }, {});
  return { ...parts, x: dx };
}

const forwardOp = defineOp<Inputs, { y: Tensor }, object>({
  name: 'LinearOfList',
  outputs: ['y'],
  portable: portable.forwardOfList,
  kernels: gpu.forwardOfList,
  gradient: ({ inputs, grads }) => gradients(inputs, grads.y),
});

/** The map with its columns taken apart. */
const splitOp = splitMap<Inputs>({
  name: 'Linears',
  forward: (inputs) => forwardOp(inputs, {}).y,
  gradient: gradients,
});

const inputsOf = (x: Tensor, list: readonly Tensor[]): Inputs => ({
  x,
  ...weightsOf(list, { x }, gpu.packsList),
});

/** One map whose outputs are those of all weights, one behind the other. */
export const mapOfList = (x: Tensor, list: readonly Tensor[]): Tensor2D =>
  forwardOp(inputsOf(x, list), {}).y as Tensor2D;

/** The map by each weight, made as one. */
export const mapsOfList = (x: Tensor, list: readonly Tensor[]): Tensor2D[] =>
  Object.values(
    splitOp(inputsOf(x, list), { widths: list.map(({ shape }) => shape[0] as number) }),
  ) as Tensor2D[];
