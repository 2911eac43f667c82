// RMSNorm of rows, y = w ⊙ r·x with r = (mean x² + ε)^{-1/2}. Weight 0: none.
import { dot, loadUpTo, reject, scale, storeUpTo } from './vectors';

/** (mean x² + ε)^{-1/2} of one row. */
@inline
export function inverseRms(x: usize, width: i32, eps: f32): f32 {
  return 1 / sqrt<f32>(dot(x, x, width) / f32(width) + eps);
}

export function rmsNorm(x: usize, weight: usize, y: usize, rows: i32, width: i32, eps: f32): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, y += stride) {
    const factor = inverseRms(x, width, eps);
    if (weight) weigh(x, weight, y, factor, width);
    else scale(y, x, factor, width);
  }
}

/** With h = dy ⊙ w: dx = r(h − x̂·mean(h ⊙ x̂)), dWeight = Σ dy ⊙ x̂. */
export function rmsNormBackward(
  x: usize, weight: usize, dy: usize, dx: usize, dWeight: usize, rows: i32, width: i32, eps: f32,
): void {
  const stride = usize(width) << 2;
  memory.fill(dWeight, 0, stride);
  for (let row = 0; row < rows; row++, x += stride, dy += stride, dx += stride) {
    const factor = inverseRms(x, width, eps);
    multiplyAdd(dWeight, x, dy, factor, width);
    let h = dy;
    if (weight) {
      h = dx;
      weigh(dy, weight, h, 1, width);
    }
    reject(dx, h, x, (dot(h, x, width) / f32(width)) * factor * factor, factor, width);
  }
}

/** y = factor·x ⊙ weight. */
function weigh(x: usize, weight: usize, y: usize, factor: f32, width: i32): void {
  let c = 0;
  for (; c + 4 <= width; c += 4) weighStep(x, weight, y, factor, c, 4);
  if (c < width) weighStep(x, weight, y, factor, c, width - c);
}

@inline
function weighStep(x: usize, weight: usize, y: usize, factor: f32, c: i32, left: i32): void {
  const at = usize(c) << 2;
  const value = f32x4.mul(loadUpTo(x + at, left), f32x4.splat(factor));
  storeUpTo(y + at, f32x4.mul(value, loadUpTo(weight + at, left)), left);
}

/** sum += factor·x ⊙ y. */
function multiplyAdd(sum: usize, x: usize, y: usize, factor: f32, width: i32): void {
  let c = 0;
  for (; c + 4 <= width; c += 4) multiplyAddStep(sum, x, y, factor, c, 4);
  if (c < width) multiplyAddStep(sum, x, y, factor, c, width - c);
}

@inline
function multiplyAddStep(sum: usize, x: usize, y: usize, factor: f32, c: i32, left: i32): void {
  const at = usize(c) << 2;
  const product = f32x4.mul(f32x4.mul(loadUpTo(x + at, left), f32x4.splat(factor)), loadUpTo(y + at, left));
  storeUpTo(sum + at, f32x4.add(loadUpTo(sum + at, left), product), left);
}
