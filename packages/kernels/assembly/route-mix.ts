// Gathering and mixing of bucket rows by index; −1 stands for no row.
import { addScaled, dot, scale } from './vectors';

/** y[u] = x[source[u]]. */
export function routeGather(x: usize, source: usize, y: usize, copies: i32, width: i32): void {
  const stride = usize(width) << 2;
  for (let copy = 0; copy < copies; copy++, y += stride) {
    const row = load<i32>(source + (usize(copy) << 2));
    if (row < 0) memory.fill(y, 0, stride);
    else memory.copy(y, x + usize(row) * stride, stride);
  }
}

/** y[r] = Σ_j weights[r, j]·o[position[r, j]]; those of choices from `weighted` on are 1. */
export function routeMix(
  o: usize, weights: usize, position: usize, y: usize, rows: i32, chosen: i32, weighted: i32, width: i32,
): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, y += stride) {
    memory.fill(y, 0, stride);
    for (let j = 0; j < chosen; j++) {
      const place = load<i32>(position + (usize(row * chosen + j) << 2));
      if (place < 0) continue;
      const weight: f32 = j < weighted ? load<f32>(weights + (usize(row * weighted + j) << 2)) : 1;
      addScaled(y, o + usize(place) * stride, weight, width);
    }
  }
}

/** For the copy u of row r by choice j: dO[u] = weights[r, j]·dy[r], dWeights[r, j] = ⟨dy[r], o[u]⟩; weights as above. */
export function routeMixBackward(
  o: usize, weights: usize, source: usize, position: usize, dy: usize, dO: usize, dWeights: usize,
  rows: i32, chosen: i32, weighted: i32, width: i32,
): void {
  const stride = usize(width) << 2;
  for (let copy = 0; copy < rows * chosen; copy++) {
    if (load<i32>(source + (usize(copy) << 2)) < 0) memory.fill(dO + usize(copy) * stride, 0, stride);
  }
  for (let row = 0; row < rows; row++, dy += stride) {
    for (let j = 0; j < chosen; j++) {
      const place = load<i32>(position + (usize(row * chosen + j) << 2));
      const index = usize(row * weighted + j) << 2;
      let slope: f32 = 0;
      if (place >= 0) {
        const offset = usize(place) * stride;
        scale(dO + offset, dy, j < weighted ? load<f32>(weights + index) : 1, width);
        if (j < weighted) slope = dot(dy, o + offset, width);
      }
      if (j < weighted) store<f32>(dWeights + index, slope);
    }
  }
}
