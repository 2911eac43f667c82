// The grouped linear map without knowing on the host which rows belong where: every group's map of all rows,
// of which each row keeps its own.
import {
  add,
  matMul,
  mul,
  oneHot,
  reshape,
  slice,
  stack,
  zeros,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';
import type { Parts } from '../join-rows/parts.ts';
import { apart, wholeOf, type Weights } from '../join-rows/weights.ts';
import { sumOfRows } from '../rows.ts';

export type Inputs = {
  x: Tensor;
  weight: Tensor;
  bias: Tensor | undefined;
  starts: Tensor;
  lengths: Tensor;
  rowSequence: Tensor;
};
export type BackwardInputs = Inputs & { dy: Tensor };
/** The weights of all groups, [N_i, in] each, as a list: those of the first group, then those of the next, … */
export type ListInputs = Weights & Omit<Inputs, 'weight'>;
export type ListBackwardInputs = ListInputs & { dy: Tensor };
export type Gradients = { dx: Tensor; dWeight: Tensor; dBias: Tensor };

export function forward({ x, weight, bias, rowSequence }: Inputs): { y: Tensor } {
  const [groups = 0, outputs = 0] = weight.shape;
  const member = oneHot(rowSequence, groups);
  let y: Tensor = bias
    ? matMul(member as Tensor2D, bias as Tensor2D)
    : zeros([x.shape[0] as number, outputs]);
  for (let m = 0; m < groups; m++) {
    y = add(y, mul(column(member, m), matMul(x as Tensor2D, matrix(weight, m), false, true)));
  }
  return { y };
}

export function backward({ x, weight, rowSequence, dy }: BackwardInputs): Gradients {
  const groups = weight.shape[0] as number;
  const member = oneHot(rowSequence, groups);
  const own = Array.from({ length: groups }, (_, m) => mul(column(member, m), dy) as Tensor2D);
  return {
    dx: own.map((part, m) => matMul(part, matrix(weight, m)) as Tensor).reduce((a, b) => add(a, b)),
    dWeight: stack(own.map((part) => matMul(part, x as Tensor2D, true, false))),
    dBias: stack(own.map((part) => sumOfRows(part))),
  };
}

export function forwardOfList(inputs: ListInputs): { y: Tensor } {
  return forward({ ...inputs, weight: byGroups(inputs) });
}

export function backwardOfList(inputs: ListBackwardInputs): Parts {
  const { dx, dWeight, dBias } = backward({ ...inputs, weight: byGroups(inputs) });
  const [groups = 0, outputs = 0, width = 0] = dWeight.shape;
  return { dx, dBias, ...apart(reshape(dWeight, [groups * outputs, width]), inputs) };
}

/** [M, out, in] */
function byGroups({ lengths, ...weights }: ListInputs): Tensor {
  const whole = wholeOf(weights as Weights);
  const [rows = 0, inputs = 0] = whole.shape;
  const groups = lengths.shape[0] as number;
  return reshape(whole, [groups, rows / groups, inputs]);
}

const column = (member: Tensor, m: number): Tensor => slice(member, [0, m], [member.shape[0] as number, 1]);

function matrix(weight: Tensor, m: number): Tensor2D {
  const [, outputs = 0, inputs = 0] = weight.shape;
  return reshape(slice(weight, [m, 0, 0], [1, outputs, inputs]), [outputs, inputs]) as Tensor2D;
}
