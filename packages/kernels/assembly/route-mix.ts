// Gathering and mixing of bucket rows by index; −1 stands for no row.

import { loadUpTo, storeUpTo, sumLanes } from './vectors';

/** y[u] = x[source[u]]. */
export function routeGather(x: usize, source: usize, y: usize, copies: i32, width: i32): void {
  const stride = usize(width) << 2;
  for (let copy = 0; copy < copies; copy++, y += stride) {
    const row = load<i32>(source + (usize(copy) << 2));
    if (row < 0) memory.fill(y, 0, stride);
    else memory.copy(y, x + usize(row) * stride, stride);
  }
}

/** y[r] = Σ_j weights[r, j]·o[position[r, j]]; weights 0: all are 1. */
export function routeMix(
  o: usize, weights: usize, position: usize, y: usize, rows: i32, chosen: i32, width: i32,
): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, y += stride) {
    memory.fill(y, 0, stride);
    for (let j = 0; j < chosen; j++) {
      const index = usize(row * chosen + j) << 2;
      const place = load<i32>(position + index);
      if (place < 0) continue;
      const from = o + usize(place) * stride;
      const weight = f32x4.splat(weights ? load<f32>(weights + index) : 1);
      for (let c = 0; c < width; c += 4) {
        const at = usize(c) << 2, left = width - c;
        const sum = f32x4.add(loadUpTo(y + at, left), f32x4.mul(loadUpTo(from + at, left), weight));
        storeUpTo(y + at, sum, left);
      }
    }
  }
}

/** For the copy u of row r by choice j: dO[u] = weights[r, j]·dy[r], dWeights[r, j] = ⟨dy[r], o[u]⟩. */
export function routeMixBackward(
  o: usize, weights: usize, source: usize, position: usize, dy: usize, dO: usize, dWeights: usize,
  rows: i32, chosen: i32, width: i32,
): void {
  const stride = usize(width) << 2;
  for (let copy = 0; copy < rows * chosen; copy++) {
    if (load<i32>(source + (usize(copy) << 2)) < 0) memory.fill(dO + usize(copy) * stride, 0, stride);
  }
  for (let row = 0; row < rows; row++, dy += stride) {
    for (let j = 0; j < chosen; j++) {
      const index = usize(row * chosen + j) << 2;
      const place = load<i32>(position + index);
      let products = f32x4.splat(0);
      if (place >= 0) {
        const weight = f32x4.splat(load<f32>(weights + index));
        const offset = usize(place) * stride;
        for (let c = 0; c < width; c += 4) {
          const at = usize(c) << 2, left = width - c;
          const slope = loadUpTo(dy + at, left);
          storeUpTo(dO + offset + at, f32x4.mul(slope, weight), left);
          products = f32x4.add(products, f32x4.mul(slope, loadUpTo(o + offset + at, left)));
        }
      }
      store<f32>(dWeights + index, sumLanes(products));
    }
  }
}
