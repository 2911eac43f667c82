// Gated RMSNorm of rows, y = (w ⊙ x̂) ⊙ act(z) with x̂ = r·x, r = (mean x² + ε)^{-1/2}; act is silu or the
// sigmoid. Two vectors a turn share the exponential's constants, which cost more to load than to use. A mask
// `silu` tells which activation it is.
import { inverseRms } from './rms-norm';
import { sigmoid } from './math';
import { loadUpTo, reject, storeUpTo, sumLanes } from './vectors';

export function rmsNormGated(
  x: usize, gate: usize, weight: usize, y: usize, rows: i32, width: i32, eps: f32, isSilu: bool,
): void {
  const stride = usize(width) << 2;
  const silu = i32x4.splat(isSilu ? -1 : 0);
  for (let row = 0; row < rows; row++, x += stride, gate += stride, y += stride) {
    const factor = f32x4.splat(inverseRms(x, width, eps));
    let c = 0;
    for (; c + 8 <= width; c += 8) {
      forward(x, gate, weight, y, c, 4, factor, silu);
      forward(x, gate, weight, y, c + 4, 4, factor, silu);
    }
    for (; c < width; c += 4) forward(x, gate, weight, y, c, width - c, factor, silu);
  }
}

/**
 * With h = dy ⊙ act(z) ⊙ w: dx = r(h − x̂·mean(h ⊙ x̂)), dGate = dy ⊙ w ⊙ x̂ ⊙ act′(z), dWeight = Σ dy ⊙
 * act(z) ⊙ x̂.
 */
export function rmsNormGatedBackward(
  x: usize, gate: usize, weight: usize, dy: usize, dx: usize, dGate: usize, dWeight: usize,
  rows: i32, width: i32, eps: f32, isSilu: bool,
): void {
  const stride = usize(width) << 2;
  const silu = i32x4.splat(isSilu ? -1 : 0);
  memory.fill(dWeight, 0, stride);
  for (let row = 0; row < rows; row++) {
    const scale = inverseRms(x, width, eps);
    const factor = f32x4.splat(scale);
    let products = f32x4.splat(0);
    let c = 0;
    for (; c + 8 <= width; c += 8) {
      const some = backward(x, gate, weight, dy, dx, dGate, dWeight, c, 4, factor, silu);
      const more = backward(x, gate, weight, dy, dx, dGate, dWeight, c + 4, 4, factor, silu);
      products = f32x4.add(products, f32x4.add(some, more));
    }
    for (; c < width; c += 4) {
      const some = backward(x, gate, weight, dy, dx, dGate, dWeight, c, width - c, factor, silu);
      products = f32x4.add(products, some);
    }
    reject(dx, dx, x, (sumLanes(products) / f32(width)) * scale, scale, width);
    x += stride, gate += stride, dy += stride, dx += stride, dGate += stride;
  }
}

@inline
function forward(
  x: usize, gate: usize, weight: usize, y: usize, c: i32, left: i32, factor: v128, silu: v128,
): void {
  const at = usize(c) << 2;
  const z = loadUpTo(gate + at, left);
  const normal = f32x4.mul(f32x4.mul(loadUpTo(x + at, left), factor), loadUpTo(weight + at, left));
  const act = f32x4.mul(sigmoid(z), v128.bitselect(z, f32x4.splat(1), silu));
  storeUpTo(y + at, f32x4.mul(normal, act), left);
}

/** dGate and the row's part of dWeight; h goes to dx for now. Returns h ⊙ x̂. */
@inline
function backward(
  x: usize, gate: usize, weight: usize, dy: usize, dx: usize, dGate: usize, dWeight: usize,
  c: i32, left: i32, factor: v128, silu: v128,
): v128 {
  const one = f32x4.splat(1);
  const at = usize(c) << 2;
  const z = loadUpTo(gate + at, left);
  const w = loadUpTo(weight + at, left);
  const slope = loadUpTo(dy + at, left);
  const normal = f32x4.mul(loadUpTo(x + at, left), factor);
  const open = sigmoid(z);
  const shut = f32x4.sub(one, open);
  // silu′(z) = σ(1 + z(1 − σ)), σ′(z) = σ(1 − σ).
  const actSlope = f32x4.mul(open, v128.bitselect(f32x4.add(one, f32x4.mul(z, shut)), shut, silu));
  const gated = f32x4.mul(slope, f32x4.mul(open, v128.bitselect(z, one, silu)));
  storeUpTo(dGate + at, f32x4.mul(f32x4.mul(slope, f32x4.mul(normal, w)), actSlope), left);
  storeUpTo(dWeight + at, f32x4.add(loadUpTo(dWeight + at, left), f32x4.mul(gated, normal)), left);
  const h = f32x4.mul(gated, w);
  storeUpTo(dx + at, h, left);
  return f32x4.mul(h, normal);
}
