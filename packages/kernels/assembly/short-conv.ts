// Depthwise causal convolution along sequences, four channels at a time. Weights are token-major here, [W, D], as is
// the history: the W rows before a sequence, oldest first. `taps` holds the addresses of the rows that a token reads.
import { sigmoid } from './math';
import { loadUpTo, storeUpTo } from './vectors';

/** x [rows, columns] → y [columns, rows]. */
function transpose(x: usize, y: usize, rows: i32, columns: i32): void {
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, x += 4) {
      store<f32>(y + (usize(column * rows + row) << 2), load<f32>(x));
    }
  }
}

/** Addresses of the rows that token t reads: of the sequence at `x`, or of the history before it. */
function findTaps(taps: usize, x: usize, history: usize, t: i32, width: i32, stride: usize): void {
  for (let w = 0; w < width; w++) {
    const token = t - width + 1 + w;
    store<usize>(taps + (usize(w) << 2), token >= 0 ? x + usize(token) * stride : history + usize(width + token) * stride);
  }
}

/** bias + Σ_w weight[w]·tap[w], channels c to c + 3. */
@inline
function tapSum(taps: usize, weight: usize, bias: usize, at: usize, left: i32, width: i32, stride: usize): v128 {
  let sum = bias ? loadUpTo(bias + at, left) : f32x4.splat(0);
  for (let w = 0; w < width; w++, weight += stride) {
    const tap = load<usize>(taps + (usize(w) << 2));
    sum = f32x4.add(sum, f32x4.mul(loadUpTo(tap + at, left), loadUpTo(weight + at, left)));
  }
  return sum;
}

function clearPadding(y: usize, rowSequence: usize, rows: i32, stride: usize): void {
  for (let row = 0; row < rows; row++, y += stride) {
    if (load<i32>(rowSequence + (usize(row) << 2)) < 0) memory.fill(y, 0, stride);
  }
}

/** Scratch: weightT and history [W, D] each, taps [W]. bias and initialState may be 0: none. */
export function shortConv(
  x: usize, weight: usize, bias: usize, initialState: usize, starts: usize, lengths: usize, rowSequence: usize,
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
      const to = y + first + usize(t) * stride;
      for (let c = 0; c < channels; c += 4) {
        const at = usize(c) << 2, left = channels - c;
        const sum = tapSum(taps, weightT, bias, at, left, width, stride);
        storeUpTo(to + at, isSilu ? f32x4.mul(sum, sigmoid(sum)) : sum, left);
      }
    }
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

/** Scratch: weightT, dWeightT, history and dHistory [W, D] each, taps and dTaps [W]. bias and initialState may be 0. */
export function shortConvBackward(
  x: usize, weight: usize, bias: usize, initialState: usize, starts: usize, lengths: usize, rowSequence: usize,
  dy: usize, dState: usize, dx: usize, dWeight: usize, dBias: usize, dInitialState: usize,
  weightT: usize, dWeightT: usize, history: usize, dHistory: usize, taps: usize, dTaps: usize,
  rows: i32, sequences: i32, channels: i32, width: i32, isSilu: bool,
): void {
  const one = f32x4.splat(1);
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
      const from = dy + first + usize(t) * stride;
      for (let c = 0; c < channels; c += 4) {
        const at = usize(c) << 2, left = channels - c;
        let slope = loadUpTo(from + at, left);
        if (isSilu) {
          const sum = tapSum(taps, weightT, bias, at, left, width, stride);
          const open = sigmoid(sum);
          slope = f32x4.mul(slope, f32x4.mul(open, f32x4.add(one, f32x4.mul(sum, f32x4.sub(one, open)))));
        }
        storeUpTo(dBias + at, f32x4.add(loadUpTo(dBias + at, left), slope), left);
        for (let w = 0; w < width; w++) {
          const row = usize(w) * stride + at;
          const tap = loadUpTo(load<usize>(taps + (usize(w) << 2)) + at, left);
          storeUpTo(dWeightT + row, f32x4.add(loadUpTo(dWeightT + row, left), f32x4.mul(slope, tap)), left);
          const dTap = load<usize>(dTaps + (usize(w) << 2)) + at;
          const pulled = f32x4.mul(slope, loadUpTo(weightT + row, left));
          storeUpTo(dTap, f32x4.add(loadUpTo(dTap, left), pulled), left);
        }
      }
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
