// The grouped linear map as nodes of the tape.
import { concat, defineOp, split, type Op, type Tensor, type Tensor2D } from '@mnemix/tensor';
import { sequenceTensors } from '../portable/chunk-layout.ts';
import * as cpu from './cpu.ts';
import * as gpu from './gpu.ts';
import * as portable from './portable.ts';
import { nameOf } from './split-columns.ts';
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

type Parts = Record<string, Tensor>;

/** An op has a fixed list of outputs, so there is one for each number of maps. */
const splitOps = new Map<number, Op<portable.Inputs, Parts, portable.SplitAttrs>>();

/** The map with its columns taken apart: outputs y0, y1, … */
export function splitOp(count: number): Op<portable.Inputs, Parts, portable.SplitAttrs> {
  const outputs = Array.from({ length: count }, (_, i) => nameOf(i));
  const op =
    splitOps.get(count) ??
    defineOp<portable.Inputs, Parts, portable.SplitAttrs>({
      name: `GroupedLinears${count}`,
      outputs,
      integers: sequenceTensors,
      portable: (inputs, { widths }) => {
        const parts = split(forwardOp(inputs, {}).y, [...widths], 1);
        return Object.fromEntries(parts.map((part, i) => [nameOf(i), part]));
      },
      kernels: gpu.forwardSplit,
      gradient: ({ inputs, grads }) => {
        const dy = concat(
          outputs.map((name) => grads[name] as Tensor2D),
          1,
        );
        const { dx, dWeight, dBias } = backwardOp({ ...inputs, dy }, {});
        return { x: dx, weight: dWeight, bias: dBias };
      },
    });
  splitOps.set(count, op);
  return op;
}
