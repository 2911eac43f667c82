// The linear map whose weight is the rows of a list of weights, as nodes of the tape.
import { add, defineOp, tidy, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { byCount } from '../by-count.ts';
import type { Parts } from '../join-rows/parts.ts';
import { gradientNames, ofParts, partsOf, weightsOf } from '../join-rows/weights.ts';
import { splitMap, withWhole, type ColumnsAttrs, type Slopes } from '../split-columns/index.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';

type Inputs = portable.ListInputs;

const backwardOp = byCount((count) =>
  defineOp<portable.ListBackwardInputs, Parts, object>({
    name: `LinearOfListBackward${count}`,
    outputs: ['dx', ...gradientNames(count)],
    portable: portable.backwardOfList,
    kernels: gpu.backwardOfList,
  }),
);

const countOf = (inputs: Inputs): number => Object.keys(partsOf(inputs)).length;

const gradientsOf = (made: Parts) => ({ x: made['dx'], ...ofParts(made) });

/** Of the inputs of {@link mapOfList}, from that of its output. */
export const gradientsOfList = (inputs: Inputs, dy: Tensor) =>
  gradientsOf(backwardOp(countOf(inputs))({ ...inputs, dy }, {}));

/** One map whose outputs are those of all weights, one behind the other; a constant to gradients. */
export const mapOfList = defineOp<Inputs, { y: Tensor }, object>({
  name: 'LinearOfList',
  outputs: ['y'],
  portable: portable.forwardOfList,
  kernels: gpu.forwardOfList,
});

const columnsBackwardOp = byCount((count) =>
  defineOp<Inputs & Slopes, Parts, ColumnsAttrs>({
    name: `LinearsBackward${count}`,
    outputs: ['dx', ...gradientNames(count)],
    portable: (inputs, attrs) => {
      const { dx, ...parts } = backwardOp(count)(withWhole<Inputs>(inputs, attrs), {});
      return { dx: inputs.dPassed ? add(dx as Tensor, inputs.dPassed) : (dx as Tensor), ...parts };
    },
    kernels: gpu.backwardOfColumns,
  }),
);

/** The map with its columns taken apart. It passes x on. */
const columnsOp = splitMap<Inputs, 'x'>({
  name: 'Linears',
  passes: ['x'],
  forward: (inputs) => mapOfList(inputs, {}).y,
  gradient: (inputs, attrs) => gradientsOf(columnsBackwardOp(countOf(inputs))(inputs, attrs)),
  kernels: gpu.forwardOfColumns,
});

/** The map by each weight, made as one; and x, passed on. */
export const mapsOfList = (x: Tensor, list: readonly Tensor[]): { maps: Tensor2D[]; rows: Tensor2D } =>
  tidy(() => {
    const { x: rows, ...columns } = columnsOp(
      { x, ...weightsOf(list, { x }, gpu.takesList(false)) },
      { widths: list.map(({ shape }) => shape[0] as number) },
    );
    return { maps: Object.values(columns) as Tensor2D[], rows: rows as Tensor2D };
  });
