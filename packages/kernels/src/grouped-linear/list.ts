// The grouped linear map whose weights are a list, as nodes of the tape.
import { defineOp, reshape, tidy, type Tensor } from '@mnemix/tensor';
import { byCount } from '../by-count.ts';
import { joinRows } from '../join-rows/index.ts';
import type { Parts } from '../join-rows/parts.ts';
import { gradientNames, ofParts, partsOf, weightsOf } from '../join-rows/weights.ts';
import { sequenceTensors } from '../portable/chunk-layout.ts';
import type { Sequences } from '../sequences.ts';
import { splitMap, withWhole, type ColumnsAttrs, type Slopes } from '../split-columns/index.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';

type Inputs = portable.ListInputs;

const outputsOfBackward = (count: number): string[] => ['dx', ...gradientNames(count), 'dBias'];

const backwardOp = byCount((count) =>
  defineOp<portable.ListBackwardInputs, Parts, object>({
    name: `GroupedLinearOfListBackward${count}`,
    outputs: outputsOfBackward(count),
    integers: sequenceTensors,
    portable: portable.backwardOfList,
    kernels: gpu.backwardOfList,
  }),
);

const countOf = (inputs: Inputs): number => Object.keys(partsOf(inputs)).length;

const gradientsOf = (made: Parts) => ({ x: made['dx'], bias: made['dBias'], ...ofParts(made) });

/** A constant to gradients. */
const forwardOp = defineOp<Inputs, { y: Tensor }, object>({
  name: 'GroupedLinearOfList',
  outputs: ['y'],
  integers: sequenceTensors,
  portable: portable.forwardOfList,
  kernels: gpu.forwardOfList,
});

const columnsBackwardOp = byCount((count) =>
  defineOp<Inputs & Slopes, Parts, ColumnsAttrs>({
    name: `GroupedLinearsBackward${count}`,
    outputs: outputsOfBackward(count),
    integers: sequenceTensors,
    portable: (inputs, attrs) => backwardOp(count)(withWhole<Inputs>(inputs, attrs), {}),
    kernels: gpu.backwardOfColumns,
  }),
);

/** The map with its columns taken apart. */
export const columnsOp = splitMap<Inputs>({
  name: 'GroupedLinears',
  integers: sequenceTensors,
  forward: (inputs) => forwardOp(inputs, {}).y,
  gradient: (inputs, attrs) => gradientsOf(columnsBackwardOp(countOf(inputs))(inputs, attrs)),
  kernels: gpu.forwardOfColumns,
});

/** What the groups have of one map. */
export interface GroupedLayer {
  /** [out, in] of each group. */
  readonly weights: readonly Tensor[];
  /** [out] of each group. */
  readonly biases?: readonly Tensor[] | undefined;
}

/** The map by each layer, made as one: in every group they lie one below the other. */
export function mapsOfLists(x: Tensor, layers: readonly GroupedLayer[], groups: Sequences): Tensor[] {
  const { starts, lengths, rowSequence } = groups;
  const list = byGroups(layers.map(({ weights }) => weights));
  const biases = layers.flatMap((layer) => (layer.biases ? [layer.biases] : []));
  return tidy(() => {
    const inputs: Inputs = {
      x,
      ...weightsOf(list, { x, lengths }, gpu.packsList),
      bias: biases.length > 0 ? stacked(biases) : undefined,
      starts,
      lengths,
      rowSequence,
    };
    return Object.values(
      columnsOp(inputs, { widths: layers.map(({ weights }) => weights[0]?.shape[0] as number) }),
    );
  });
}

/** Of lists that hold one of each group: all of the first group, then all of the next, … */
const byGroups = (lists: readonly (readonly Tensor[])[]): Tensor[] =>
  (lists[0] ?? []).flatMap((_, m) => lists.map((list) => list[m] as Tensor));

/** The same in one tensor: [M, Σ out, …]. */
export function stacked(lists: readonly (readonly Tensor[])[]): Tensor {
  const groups = lists[0]?.length ?? 0;
  const whole = joinRows(byGroups(lists));
  const [size = 0, ...rest] = whole.shape;
  return reshape(whole, [groups, size / groups, ...rest]);
}
