// LayerNorm of rows, y = w ⊙ x̂ + b with x̂ = r(x − mean x) and r = (var x + ε)^{-1/2}. Rows take the
// `period` rows of weight and bias in turn. Weight or bias 0: none.
import { addScaled, loadUpTo, storeUpTo, sumLanes } from './vectors';

export function layerNorm(
  x: usize, weight: usize, bias: usize, y: usize, rows: i32, width: i32, period: i32, eps: f32,
): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, y += stride) {
    const place = usize(row % period) * stride;
    standardise(x, weight ? weight + place : 0, bias ? bias + place : 0, y, width, eps);
  }
}

/**
 * With h = dy ⊙ w: dx = r(h − mean h − x̂·mean(h ⊙ x̂)), dWeight = Σ dy ⊙ x̂, dBias = Σ dy. The latter two
 * only where there is a weight or a bias.
 */
export function layerNormBackward(
  x: usize, weight: usize, bias: usize, dy: usize, dx: usize, dWeight: usize, dBias: usize,
  rows: i32, width: i32, period: i32, eps: f32,
): void {
  const stride = usize(width) << 2;
  if (weight) memory.fill(dWeight, 0, usize(period) * stride);
  if (bias) memory.fill(dBias, 0, usize(period) * stride);
  for (let row = 0; row < rows; row++, x += stride, dy += stride, dx += stride) {
    const place = usize(row % period) * stride;
    const factor = standardise(x, 0, 0, dx, width, eps);
    if (bias) addScaled(dBias + place, dy, 1, width);
    if (weight) multiplyAdd(dWeight + place, dy, dx, width);
    pullBack(dx, dy, weight ? weight + place : 0, factor, width);
  }
}

/** y = w ⊙ x̂ + b of one row; returns r. The variance is that of the differences from the mean. */
function standardise(x: usize, weight: usize, bias: usize, y: usize, width: i32, eps: f32): f32 {
  const mean = meanOf(x, width);
  const factor: f32 = 1 / sqrt<f32>(varianceOf(x, mean, width) + eps);
  let c = 0;
  for (; c + 4 <= width; c += 4) standardiseStep(x, weight, bias, y, mean, factor, c, 4);
  if (c < width) standardiseStep(x, weight, bias, y, mean, factor, c, width - c);
  return factor;
}

@inline
function standardiseStep(
  x: usize, weight: usize, bias: usize, y: usize, mean: f32, factor: f32, c: i32, left: i32,
): void {
  const at = usize(c) << 2;
  let value = f32x4.mul(f32x4.sub(loadUpTo(x + at, left), f32x4.splat(mean)), f32x4.splat(factor));
  if (weight) value = f32x4.mul(value, loadUpTo(weight + at, left));
  if (bias) value = f32x4.add(value, loadUpTo(bias + at, left));
  storeUpTo(y + at, value, left);
}

function meanOf(x: usize, width: i32): f32 {
  let sums = f32x4.splat(0);
  let c = 0;
  for (; c + 4 <= width; c += 4) sums = f32x4.add(sums, v128.load(x + (usize(c) << 2)));
  if (c < width) sums = f32x4.add(sums, loadUpTo(x + (usize(c) << 2), width - c));
  return sumLanes(sums) / f32(width);
}

function varianceOf(x: usize, mean: f32, width: i32): f32 {
  let sums = f32x4.splat(0);
  let c = 0;
  for (; c + 4 <= width; c += 4) {
    const difference = f32x4.sub(v128.load(x + (usize(c) << 2)), f32x4.splat(mean));
    sums = f32x4.add(sums, f32x4.mul(difference, difference));
  }
  let sum = sumLanes(sums);
  for (; c < width; c++) {
    const difference = load<f32>(x + (usize(c) << 2)) - mean;
    sum += difference * difference;
  }
  return sum / f32(width);
}

/** y = r(h − mean h − x̂·mean(h ⊙ x̂)) where y holds x̂ at first. */
function pullBack(y: usize, dy: usize, weight: usize, factor: f32, width: i32): void {
  let sums = f32x4.splat(0), products = sums;
  let c = 0;
  for (; c + 4 <= width; c += 4) {
    const h = weighted(dy, weight, c, 4);
    sums = f32x4.add(sums, h);
    products = f32x4.add(products, f32x4.mul(h, v128.load(y + (usize(c) << 2))));
  }
  if (c < width) {
    const h = weighted(dy, weight, c, width - c);
    sums = f32x4.add(sums, h);
    products = f32x4.add(products, f32x4.mul(h, loadUpTo(y + (usize(c) << 2), width - c)));
  }
  const mean = sumLanes(sums) / f32(width), pull = sumLanes(products) / f32(width);
  for (c = 0; c + 4 <= width; c += 4) pullBackStep(y, dy, weight, mean, pull, factor, c, 4);
  if (c < width) pullBackStep(y, dy, weight, mean, pull, factor, c, width - c);
}

@inline
function pullBackStep(
  y: usize, dy: usize, weight: usize, mean: f32, pull: f32, factor: f32, c: i32, left: i32,
): void {
  const at = y + (usize(c) << 2);
  const along = f32x4.add(f32x4.splat(mean), f32x4.mul(f32x4.splat(pull), loadUpTo(at, left)));
  const rest = f32x4.sub(weighted(dy, weight, c, left), along);
  storeUpTo(at, f32x4.mul(rest, f32x4.splat(factor)), left);
}

/** h = dy ⊙ w of up to four channels; zeros beyond. */
@inline
function weighted(dy: usize, weight: usize, c: i32, left: i32): v128 {
  const at = usize(c) << 2, gradient = loadUpTo(dy + at, left);
  return weight ? f32x4.mul(gradient, loadUpTo(weight + at, left)) : gradient;
}

/** sum += x ⊙ y. */
function multiplyAdd(sum: usize, x: usize, y: usize, width: i32): void {
  let c = 0;
  for (; c + 4 <= width; c += 4) multiplyAddStep(sum, x, y, c, 4);
  if (c < width) multiplyAddStep(sum, x, y, c, width - c);
}

@inline
function multiplyAddStep(sum: usize, x: usize, y: usize, c: i32, left: i32): void {
  const at = usize(c) << 2;
  const product = f32x4.mul(loadUpTo(x + at, left), loadUpTo(y + at, left));
  storeUpTo(sum + at, f32x4.add(loadUpTo(sum + at, left), product), left);
}
