// One linear map per group of rows.
import { checkShapes, defineOp, type Tensor } from '@mnemix/tensor';
import { sequenceTensors } from '../portable/chunk-layout.ts';
import type { Sequences } from '../sequences.ts';
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

const forwardOp = defineOp<portable.Inputs, { y: Tensor }, object>({
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

export interface GroupedLinearOptions {
  /** The rows of each group; as many groups as there are weights. */
  readonly groups: Sequences;
}

/**
 * y_n = W_m x_n + b_m for every row n of group m. Rows of no group give 0.
 *
 * Gradients: dx_n = W_mᵀ dy_n, dW_m = Σ_{n∈m} dy_n x_nᵀ, db_m = Σ_{n∈m} dy_n.
 *
 * @param inputs.x [N, in]
 * @param inputs.weight [M, out, in]
 * @param inputs.bias [M, out]
 * @returns [N, out]
 * @throws MnemixError `shape`
 */
export function groupedLinear(
  { x, weight, bias }: { x: Tensor; weight: Tensor; bias?: Tensor },
  { groups }: GroupedLinearOptions,
): Tensor {
  checkShapes('groupedLinear', {
    x: [x, [groups.rows, 'in']],
    weight: [weight, [groups.count, 'out', 'in']],
    bias: [bias, [groups.count, 'out']],
  });
  const { starts, lengths, rowSequence } = groups;
  return forwardOp({ x, weight, bias, starts, lengths, rowSequence }, {}).y;
}
