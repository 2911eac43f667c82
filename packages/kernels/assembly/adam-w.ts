// AdamW over the n numbers of one tensor, and sums of squares.
import { dot, loadUpTo, storeUpTo } from './vectors';

/** Numbers that are summed in f32 before they go to an f64 total. */
const BLOCK = 1024;

/** gradScale: address of one number that the gradient is multiplied by too, or 0. */
export function adamW(
  param: usize, grad: usize, m: usize, v: usize, gradScale: usize,
  newParam: usize, newM: usize, newV: usize, n: i32, gradFactor: f32,
  beta1: f32, beta2: f32, rest1: f32, rest2: f32, keep: f32, stepSize: f32, rootScale: f32, epsilon: f32,
): void {
  const scale = gradScale ? gradFactor * load<f32>(gradScale) : gradFactor;
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    step(
      param, grad, m, v, newParam, newM, newV, i, 4,
      scale, beta1, beta2, rest1, rest2, keep, stepSize, rootScale, epsilon,
    );
  }
  if (i < n) {
    step(
      param, grad, m, v, newParam, newM, newV, i, n - i,
      scale, beta1, beta2, rest1, rest2, keep, stepSize, rootScale, epsilon,
    );
  }
}

@inline
function step(
  param: usize, grad: usize, m: usize, v: usize, newParam: usize, newM: usize, newV: usize, i: i32, left: i32,
  scale: f32, beta1: f32, beta2: f32, rest1: f32, rest2: f32,
  keep: f32, stepSize: f32, rootScale: f32, epsilon: f32,
): void {
  const at = usize(i) << 2;
  const g = f32x4.mul(loadUpTo(grad + at, left), f32x4.splat(scale));
  const mean = f32x4.add(
    f32x4.mul(loadUpTo(m + at, left), f32x4.splat(beta1)),
    f32x4.mul(g, f32x4.splat(rest1)),
  );
  const meanSquare = f32x4.add(
    f32x4.mul(loadUpTo(v + at, left), f32x4.splat(beta2)),
    f32x4.mul(f32x4.mul(g, g), f32x4.splat(rest2)),
  );
  const root = f32x4.add(f32x4.mul(f32x4.sqrt(meanSquare), f32x4.splat(rootScale)), f32x4.splat(epsilon));
  const update = f32x4.mul(f32x4.div(mean, root), f32x4.splat(stepSize));
  storeUpTo(newM + at, mean, left);
  storeUpTo(newV + at, meanSquare, left);
  storeUpTo(newParam + at, f32x4.sub(f32x4.mul(loadUpTo(param + at, left), f32x4.splat(keep)), update), left);
}

/** Σx² over n numbers. */
export function sumSquares(x: usize, n: i32): f64 {
  let total: f64 = 0;
  for (let i = 0; i < n; i += BLOCK) {
    const at = x + (usize(i) << 2);
    total += f64(dot(at, at, min(n - i, BLOCK)));
  }
  return total;
}

/** One number at y. */
export function storeNumber(y: usize, value: f64): void {
  store<f32>(y, f32(value));
}
