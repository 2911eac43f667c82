// Rows at unit length, y = r·x with r = (Σx² + ε)^{-1/2}.
import { dot, reject, scale } from './vectors';

export function l2Norm(x: usize, y: usize, rows: i32, width: i32, eps: f32): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, y += stride) {
    scale(y, x, 1 / sqrt<f32>(dot(x, x, width) + eps), width);
  }
}

/** dx = r(dy − (dy·y) y). */
export function l2NormBackward(x: usize, dy: usize, dx: usize, rows: i32, width: i32, eps: f32): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, dy += stride, dx += stride) {
    const factor: f32 = 1 / sqrt<f32>(dot(x, x, width) + eps);
    reject(dx, dy, x, dot(x, dy, width) * factor * factor, factor, width);
  }
}
