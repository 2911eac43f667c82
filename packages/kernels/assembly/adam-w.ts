// AdamW over the n numbers of one tensor, and sums of squares.
import { loadUpTo, storeUpTo, sumLanes } from './vectors';

/** Numbers that are summed in f32 before they go to an f64 total, divided by 4. */
const BLOCK = 256;

/** gradScale: address of one number that the gradient is multiplied by too, or 0. */
export function adamW(
  param: usize, grad: usize, m: usize, v: usize, gradScale: usize, newParam: usize, newM: usize, newV: usize, n: i32,
  gradFactor: f32, beta1: f32, beta2: f32, rest1: f32, rest2: f32, keep: f32, stepSize: f32, rootScale: f32, epsilon: f32,
): void {
  const scale = f32x4.splat(gradScale ? gradFactor * load<f32>(gradScale) : gradFactor);
  for (let i = 0; i < n; i += 4) {
    const at = usize(i) << 2, left = n - i;
    const g = f32x4.mul(loadUpTo(grad + at, left), scale);
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
}

/** Σx² over n numbers. */
export function sumSquares(x: usize, n: i32): f64 {
  let total: f64 = 0;
  for (let from = 0; from < n; from += 4 * BLOCK) {
    const to = min(n, from + 4 * BLOCK);
    let squares = f32x4.splat(0);
    for (let i = from; i < to; i += 4) {
      const value = loadUpTo(x + (usize(i) << 2), to - i);
      squares = f32x4.add(squares, f32x4.mul(value, value));
    }
    total += f64(sumLanes(squares));
  }
  return total;
}

/** √squares to one number at y. */
export function storeNorm(y: usize, squares: f64): void {
  store<f32>(y, f32(sqrt(squares)));
}
