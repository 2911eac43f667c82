// The innovation in tensor ops. Every earlier output is a gather of rows, by indices that are computed on the device.
// Index arithmetic is in float32, exact up to 2^24 rows.
import {
  abs,
  add,
  cast,
  concat,
  div,
  gatherRows,
  greaterEqual,
  less,
  minimum,
  mul,
  range,
  reshape,
  scalar,
  slice,
  square,
  sub,
  sum,
  tensor2d,
  where,
  zeros,
  type Tensor,
} from '@mnemix/tensor';

/** How far a vector lies from its prediction, as one number. */
export type InnovationError = 'l2' | 'l1' | 'relL2';

export type Inputs = {
  y: Tensor;
  before: Tensor | undefined;
  position: Tensor | undefined;
  starts: Tensor;
  rowSequence: Tensor;
};
export interface Attrs {
  readonly taps: readonly number[];
  readonly error: InnovationError;
}

/** Keeps `relL2` of two zero vectors at 0. */
export const REL_L2_EPS = 1e-6;

/** The taps for n = 0 … k known predecessors: the first n of them divided by their sum, zeros behind; k+1 rows of k. */
export const tapsByCount = (taps: readonly number[]): number[][] =>
  [0, ...taps].map((_, n) => {
    const total = taps.slice(0, n).reduce((a, b) => a + b, 0);
    return taps.map((tap, i) => (i < n ? tap / total : 0));
  });

export function forward(
  { y, before, position, starts, rowSequence }: Inputs,
  { taps, error }: Attrs,
): { e: Tensor } {
  const [rows = 0, width = 0] = y.shape;
  if (rows === 0) return { e: zeros([0]) };
  const reach = taps.length;
  const history = before?.shape[1] ?? 0;
  const table = before ? concat([y, reshape(before, [-1, width])], 0) : y;
  const row = range(0, rows);
  const ofRow = (perSequence: Tensor): Tensor =>
    reshape(gatherRows(reshape(cast(perSequence, 'float32'), [-1, 1]), rowSequence), [rows]);
  const t = sub(row, ofRow(starts));
  const known = minimum(position ? add(t, ofRow(position)) : t, reach);
  const isReal = greaterEqual(rowSequence, scalar(0, 'int32'));

  const weights = gatherRows(tensor2d(tapsByCount(taps), [reach + 1, reach]), orNone(isReal, known));
  // Where row t = 0 of the sequence would lie if its rows followed on its history.
  const afterHistory = add(mul(add(cast(rowSequence, 'float32'), 1), history), rows);
  let predicted: Tensor = zeros([rows, width]);
  for (let i = 1; i <= reach; i++) {
    const index = where(less(t, i), sub(add(afterHistory, t), i), sub(row, i));
    const found = gatherRows(table, orNone(greaterEqual(known, i), index));
    predicted = add(predicted, mul(slice(weights, [0, i - 1], [rows, 1]), found));
  }
  const e = errorOf(y, predicted, error);
  return { e: where(isReal, e, scalar(0)) };
}

/** Indices where the condition holds, −1 (a row of zeros) elsewhere. */
const orNone = (condition: Tensor, index: Tensor): Tensor =>
  cast(where(condition, index, scalar(-1)), 'int32');

function errorOf(y: Tensor, predicted: Tensor, error: InnovationError): Tensor {
  const residual = sub(y, predicted);
  if (error === 'l1') return sum(abs(residual), -1);
  const squares = sum(square(residual), -1);
  if (error === 'l2') return squares;
  return div(squares, add(sum(add(square(y), square(predicted)), -1), REL_L2_EPS));
}
