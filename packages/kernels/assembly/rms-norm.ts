// RMSNorm of rows, y = w ⊙ r·x with r = (mean x² + ε)^{-1/2}. Weight 0: none.
import { loadUpTo, storeUpTo, sumLanes } from './vectors';

/** (mean x² + ε)^{-1/2} of one row. */
@inline
export function inverseRms(x: usize, width: i32, eps: f32): f32 {
  let squares = f32x4.splat(0);
  for (let c = 0; c < width; c += 4) {
    const value = loadUpTo(x + (c << 2), width - c);
    squares = f32x4.add(squares, f32x4.mul(value, value));
  }
  return 1 / sqrt<f32>(sumLanes(squares) / f32(width) + eps);
}

export function rmsNorm(x: usize, weight: usize, y: usize, rows: i32, width: i32, eps: f32): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, y += stride) {
    const factor = f32x4.splat(inverseRms(x, width, eps));
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      let value = f32x4.mul(loadUpTo(x + at, left), factor);
      if (weight) value = f32x4.mul(value, loadUpTo(weight + at, left));
      storeUpTo(y + at, value, left);
    }
  }
}

/** With h = dy ⊙ w: dx = r(h − x̂·mean(h ⊙ x̂)), dWeight = Σ dy ⊙ x̂. */
export function rmsNormBackward(
  x: usize, weight: usize, dy: usize, dx: usize, dWeight: usize, rows: i32, width: i32, eps: f32,
): void {
  const stride = usize(width) << 2;
  memory.fill(dWeight, 0, stride);
  for (let row = 0; row < rows; row++, x += stride, dy += stride, dx += stride) {
    const scale = inverseRms(x, width, eps);
    const factor = f32x4.splat(scale);
    let products = f32x4.splat(0);
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      const slope = loadUpTo(dy + at, left);
      const product = f32x4.mul(slope, f32x4.mul(loadUpTo(x + at, left), factor));
      storeUpTo(dWeight + at, f32x4.add(loadUpTo(dWeight + at, left), product), left);
      products = f32x4.add(products, weight ? f32x4.mul(product, loadUpTo(weight + at, left)) : product);
    }
    // mean(h ⊙ x̂)·r, to be multiplied by x.
    const pull = f32x4.splat((sumLanes(products) / f32(width)) * scale);
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      let h = loadUpTo(dy + at, left);
      if (weight) h = f32x4.mul(h, loadUpTo(weight + at, left));
      const rest = f32x4.sub(h, f32x4.mul(loadUpTo(x + at, left), pull));
      storeUpTo(dx + at, f32x4.mul(rest, factor), left);
    }
  }
}
