// Depthwise causal convolution along sequences. Weights are token-major here, [W, D], as is the history: the
// W rows before a sequence, oldest first. `taps` holds the addresses of the rows that a token reads.
import { silu, siluBackward } from './silu';
import { loadUpTo, storeUpTo } from './vectors';

/** Scratch: weightT and history [W, D] each, taps [W]. bias and initialState may be 0: none. */
export function shortConv(
  x: usize, weight: usize, bias: usize, initialState: usize,
  starts: usize, lengths: usize, rowSequence: usize,
  y: usize, state: usize, weightT: usize, history: usize, taps: usize,
  rows: i32, sequences: i32, channels: i32, width: i32, isSilu: bool,
): void {
  const stride = usize(channels) << 2;
  const stateBytes = stride * width;
  transpose(weight, weightT, channels, width);
  clearPadding(y, rowSequence, rows, stride);
  for (let s = 0; s < sequences; s++, state += stateBytes) {
    const before = initialState ? initialState + usize(s) * stateBytes : 0;
    const length = load<i32>(lengths + (usize(s) << 2));
    if (length == 0) {
      if (before) memory.copy(state, before, stateBytes);
      else memory.fill(state, 0, stateBytes);
      continue;
    }
    if (before) transpose(before, history, channels, width);
    else memory.fill(history, 0, stateBytes);
    const first = usize(load<i32>(starts + (usize(s) << 2))) * stride;
    for (let t = 0; t < length; t++) {
      findTaps(taps, x + first, history, t, width, stride);
      tapSums(taps, weightT, bias, y + first + usize(t) * stride, channels, width);
    }
    if (isSilu) silu(y + first, y + first, length * channels);
    // Entry j of the state is token L − W + j, or entry L + j of the history.
    for (let j = 0; j < width; j++) {
      const token = length - width + j;
      const from = token >= 0 ? x + first + usize(token) * stride : history + usize(length + j) * stride;
      for (let c = 0; c < channels; c++) {
        store<f32>(state + (usize(c * width + j) << 2), load<f32>(from + (usize(c) << 2)));
      }
    }
  }
}

/**
 * Scratch: weightT, dWeightT, history and dHistory [W, D] each, taps and dTaps [W], slopes [D]. bias and
 * initialState may be 0.
 */
export function shortConvBackward(
  x: usize, weight: usize, bias: usize, initialState: usize,
  starts: usize, lengths: usize, rowSequence: usize,
  dy: usize, dState: usize, dx: usize, dWeight: usize, dBias: usize, dInitialState: usize,
  weightT: usize, dWeightT: usize, history: usize, dHistory: usize, taps: usize, dTaps: usize, slopes: usize,
  rows: i32, sequences: i32, channels: i32, width: i32, isSilu: bool,
): void {
  const stride = usize(channels) << 2;
  const stateBytes = stride * width;
  transpose(weight, weightT, channels, width);
  memory.fill(dx, 0, usize(rows) * stride);
  memory.fill(dWeightT, 0, stateBytes);
  memory.fill(dBias, 0, stride);
  for (let s = 0; s < sequences; s++, dState += stateBytes, dInitialState += stateBytes) {
    const length = load<i32>(lengths + (usize(s) << 2));
    if (length == 0) {
      memory.copy(dInitialState, dState, stateBytes);
      continue;
    }
    if (initialState) transpose(initialState + usize(s) * stateBytes, history, channels, width);
    else memory.fill(history, 0, stateBytes);
    memory.fill(dHistory, 0, stateBytes);
    const first = usize(load<i32>(starts + (usize(s) << 2))) * stride;
    for (let t = 0; t < length; t++) {
      findTaps(taps, x + first, history, t, width, stride);
      findTaps(dTaps, dx + first, dHistory, t, width, stride);
      let slope = dy + first + usize(t) * stride;
      if (isSilu) {
        tapSums(taps, weightT, bias, slopes, channels, width);
        siluBackward(slopes, slope, slopes, channels);
        slope = slopes;
      }
      addGradients(taps, weightT, slope, dTaps, dWeightT, dBias, channels, width);
    }
    for (let j = 0; j < width; j++) {
      const token = length - width + j;
      const to = token >= 0 ? dx + first + usize(token) * stride : dHistory + usize(length + j) * stride;
      for (let c = 0; c < channels; c++) {
        const at = to + (usize(c) << 2);
        store<f32>(at, load<f32>(at) + load<f32>(dState + (usize(c * width + j) << 2)));
      }
    }
    transpose(dHistory, dInitialState, width, channels);
  }
  transpose(dWeightT, dWeight, width, channels);
}

/** x [rows, columns] → y [columns, rows]. */
function transpose(x: usize, y: usize, rows: i32, columns: i32): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, x += 4) {
      store<f32>(y + (usize(column * rows + row) << 2), load<f32>(x));
    }
  }
}

function clearPadding(y: usize, rowSequence: usize, rows: i32, stride: usize): void {
  for (let row = 0; row < rows; row++, y += stride) {
    if (load<i32>(rowSequence + (usize(row) << 2)) < 0) memory.fill(y, 0, stride);
  }
}

/** Addresses of the rows that token t reads: of the sequence at `x`, or of the history before it. */
function findTaps(taps: usize, x: usize, history: usize, t: i32, width: i32, stride: usize): void {
  for (let w = 0; w < width; w++) {
    const token = t - width + 1 + w;
    const row = token >= 0 ? x + usize(token) * stride : history + usize(width + token) * stride;
    store<usize>(taps + (usize(w) << 2), row);
  }
}

/** y = bias + Σ_w weight[w] ⊙ tap[w]. */
function tapSums(taps: usize, weight: usize, bias: usize, y: usize, channels: i32, width: i32): void {
  let c = 0;
  for (; c + 4 <= channels; c += 4) tapSum(taps, weight, bias, y, c, 4, channels, width);
  if (c < channels) tapSum(taps, weight, bias, y, c, channels - c, channels, width);
}

/** What a token's gradient `slope` adds to the rows that it has read, to the weights and to the bias. */
function addGradients(
  taps: usize, weight: usize, slope: usize, dTaps: usize, dWeight: usize, dBias: usize,
  channels: i32, width: i32,
): void {
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    addGradient(taps, weight, slope, dTaps, dWeight, dBias, c, 4, channels, width);
  }
  if (c < channels) addGradient(taps, weight, slope, dTaps, dWeight, dBias, c, channels - c, channels, width);
}

@inline
function tapSum(
  taps: usize, weight: usize, bias: usize, y: usize, c: i32, left: i32, channels: i32, width: i32,
): void {
  const at = usize(c) << 2;
  let sum = bias ? loadUpTo(bias + at, left) : f32x4.splat(0);
  for (let w = 0; w < width; w++) {
    const tap = load<usize>(taps + (usize(w) << 2));
    const row = weight + (usize(w * channels + c) << 2);
    sum = f32x4.add(sum, f32x4.mul(loadUpTo(tap + at, left), loadUpTo(row, left)));
  }
  storeUpTo(y + at, sum, left);
}

@inline
function addGradient(
  taps: usize, weight: usize, slope: usize, dTaps: usize, dWeight: usize, dBias: usize,
  c: i32, left: i32, channels: i32, width: i32,
): void {
  const at = usize(c) << 2;
  const some = loadUpTo(slope + at, left);
  addTo(dBias + at, some, left);
  for (let w = 0; w < width; w++) {
    const row = usize(w * channels + c) << 2;
    const tap = loadUpTo(load<usize>(taps + (usize(w) << 2)) + at, left);
    addTo(dWeight + row, f32x4.mul(some, tap), left);
    addTo(load<usize>(dTaps + (usize(w) << 2)) + at, f32x4.mul(some, loadUpTo(weight + row, left)), left);
  }
}

@inline
function addTo(p: usize, x: v128, left: i32): void {
  storeUpTo(p, f32x4.add(loadUpTo(p, left), x), left);
}
