// The short convolution in tensor ops. Every access is a gather of rows, forward and backward, by indices
// that are computed on the device. Index arithmetic is in float32, exact up to 2^24 rows.
import {
  add,
  cast,
  concat,
  expandDims,
  gatherRows,
  greaterEqual,
  less,
  logicalAnd,
  mul,
  range,
  reshape,
  silu,
  slice,
  stack,
  sub,
  transpose,
  where,
  zerosLike,
  type Tensor,
} from '@mnemix/tensor';
import { siluWithSlope } from '../portable/silu.ts';
import { sumOfRows } from '../rows.ts';

export type Inputs = {
  x: Tensor;
  weight: Tensor;
  bias: Tensor | undefined;
  initialState: Tensor | undefined;
  starts: Tensor;
  lengths: Tensor;
  rowSequence: Tensor;
};
export type Outputs = { y: Tensor; state: Tensor };
export type BackwardInputs = Inputs & { dy: Tensor; dState: Tensor };
export type Gradients = { dx: Tensor; dWeight: Tensor; dBias: Tensor; dInitialState: Tensor };
export interface Attrs {
  readonly activation: 'silu' | 'none';
}

export function forward(inputs: Inputs, { activation }: Attrs): Outputs {
  const { places, table, width, taps, weights } = prepare(inputs);
  const sums = tapSums(taps, weights, inputs.bias);
  const y = activation === 'silu' ? silu(sums) : sums;
  // Entry j of the state is token L − W + j of the sequence, or entry L + j of the state before it.
  const { starts, lengths, sequences, entries } = places.states;
  const token = add(sub(lengths, width), entries);
  const before = inputs.initialState
    ? add(add(mul(sequences, width), places.rows), add(lengths, entries))
    : sub(zerosLike(token), 1);
  const index = where(greaterEqual(token, 0), add(starts, token), before);
  return {
    y: where(expandDims(places.isReal, -1), y, zerosLike(y)),
    state: fromTokenMajor(gatherRows(table, flatIndex(index)), inputs.lengths.size, width),
  };
}

export function backward(inputs: BackwardInputs, { activation }: Attrs): Gradients {
  const { dy, dState } = inputs;
  const { places, width, taps, weights } = prepare(inputs);
  const { row, position, length, sequence, isReal } = places;
  const slope =
    activation === 'silu' ? mul(dy, siluWithSlope(tapSums(taps, weights, inputs.bias)).slope) : dy;
  const du = where(expandDims(isReal, -1), slope, zerosLike(slope));
  const dStates = reshape(transpose(dState, [0, 2, 1]), [-1, dy.shape[1] as number]);

  // A row is read by the rows up to W − 1 after it, and by the state where it is among the last W.
  const fromState = add(sub(add(mul(sequence, width), position), length), width);
  const isLast = logicalAnd(isReal, greaterEqual(position, sub(length, width)));
  let dx = gatherRows(dStates, pick(isLast, fromState));
  // So is entry j of the initial state, as token j − W; short sequences also pass it on to the state after
  // them.
  const { starts, lengths, sequences, entries } = places.states;
  const passed = add(mul(sequences, width), sub(entries, lengths));
  let dInitial = gatherRows(dStates, flatIndex(pickFloat(greaterEqual(entries, lengths), passed)));
  weights.forEach((weight, w) => {
    const distance = width - 1 - w;
    const isRead = logicalAnd(isReal, less(add(position, distance), length));
    dx = add(dx, mul(weight, gatherRows(du, pick(isRead, add(row, distance)))));
    const reader = add(entries, distance - width);
    const isReader = logicalAnd(greaterEqual(reader, 0), less(reader, lengths));
    const index = flatIndex(pickFloat(isReader, add(starts, reader)));
    dInitial = add(dInitial, mul(weight, gatherRows(du, index)));
  });
  const dTaps = stack(
    taps.map((tap) => sumOfRows(mul(du, tap))),
    1,
  );
  return {
    dx,
    dWeight: expandDims(dTaps, 1),
    dBias: sumOfRows(du),
    dInitialState: fromTokenMajor(dInitial, inputs.lengths.size, width),
  };
}

/** Where rows and states lie, the rows that each tap reads, and its weights. */
function prepare(inputs: Inputs) {
  const { x, weight, initialState } = inputs;
  const [channels = 0, , width = 0] = weight.shape;
  const places = findPlaces(inputs, width);
  const { row, position, sequence, isReal, rows } = places;
  const table = initialState
    ? concat([x, reshape(transpose(initialState, [0, 2, 1]), [-1, channels])], 0)
    : x;
  const taps = Array.from({ length: width }, (_, w) => {
    const distance = width - 1 - w;
    const isInside = greaterEqual(position, distance);
    const before = initialState
      ? add(add(mul(sequence, width), rows + width - distance), position)
      : sub(zerosLike(row), 1);
    return gatherRows(table, pick(isReal, where(isInside, sub(row, distance), before)));
  });
  const weights = Array.from({ length: width }, (_, w) =>
    reshape(slice(weight, [0, 0, w], [channels, 1, 1]), [1, channels]),
  );
  return { places, table, width, taps, weights };
}

function tapSums(taps: readonly Tensor[], weights: readonly Tensor[], bias: Tensor | undefined): Tensor {
  const total = taps.map((tap, w) => mul(tap, weights[w] as Tensor)).reduce((a, b) => add(a, b));
  return bias ? add(total, bias) : total;
}

/**
 * Of each row: its number, sequence, position, and the length of its sequence, float32 [N]. Of states: [S,
 * 1], [1, W].
 */
function findPlaces({ x, starts, lengths, rowSequence }: Inputs, width: number) {
  const rows = x.shape[0] as number;
  const row = range(0, rows);
  const column = (values: Tensor) => reshape(cast(values, 'float32'), [-1, 1]);
  const ofRow = (values: Tensor) => reshape(gatherRows(column(values), rowSequence), [rows]);
  return {
    rows,
    row,
    sequence: cast(rowSequence, 'float32'),
    position: sub(row, ofRow(starts)),
    length: ofRow(lengths),
    isReal: greaterEqual(rowSequence, 0),
    states: {
      starts: column(starts),
      lengths: column(lengths),
      sequences: reshape(range(0, starts.size), [-1, 1]),
      entries: reshape(range(0, width), [1, -1]),
    },
  };
}

/** Indices where `condition` holds, −1 (a row of zeros) elsewhere. */
const pickFloat = (condition: Tensor, index: Tensor): Tensor =>
  where(condition, index, sub(zerosLike(index), 1));
const pick = (condition: Tensor, index: Tensor): Tensor => cast(pickFloat(condition, index), 'int32');
const flatIndex = (index: Tensor): Tensor => cast(reshape(index, [-1]), 'int32');

/** [S·W, D] → [S, D, W]. */
const fromTokenMajor = (x: Tensor, sequences: number, width: number): Tensor =>
  transpose(reshape(x, [sequences, width, x.shape[1] as number]), [0, 2, 1]);
