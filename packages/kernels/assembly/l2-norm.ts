// Rows at unit length, y = r·x with r = (Σx² + ε)^{-1/2}.
import { loadUpTo, storeUpTo, sumLanes } from './vectors';

@inline
function inverseNorm(x: usize, width: i32, eps: f32): f32 {
  let squares = f32x4.splat(0);
  for (let c = 0; c < width; c += 4) {
    const value = loadUpTo(x + (c << 2), width - c);
    squares = f32x4.add(squares, f32x4.mul(value, value));
  }
  return 1 / sqrt<f32>(sumLanes(squares) + eps);
}

export function l2Norm(x: usize, y: usize, rows: i32, width: i32, eps: f32): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, y += stride) {
    const factor = f32x4.splat(inverseNorm(x, width, eps));
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      storeUpTo(y + at, f32x4.mul(loadUpTo(x + at, left), factor), left);
    }
  }
}

/** dx = r(dy − (dy·y) y). */
export function l2NormBackward(x: usize, dy: usize, dx: usize, rows: i32, width: i32, eps: f32): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, dy += stride, dx += stride) {
    const scale = inverseNorm(x, width, eps);
    let products = f32x4.splat(0);
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      products = f32x4.add(products, f32x4.mul(loadUpTo(x + at, left), loadUpTo(dy + at, left)));
    }
    const pull = f32x4.splat(sumLanes(products) * scale * scale);
    const factor = f32x4.splat(scale);
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      const rest = f32x4.sub(loadUpTo(dy + at, left), f32x4.mul(loadUpTo(x + at, left), pull));
      storeUpTo(dx + at, f32x4.mul(rest, factor), left);
    }
  }
}
