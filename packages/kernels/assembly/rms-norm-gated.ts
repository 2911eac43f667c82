// Gated RMSNorm of rows, y = (w ⊙ x̂) ⊙ act(z) with x̂ = r·x, r = (mean x² + ε)^{-1/2}; act is silu or the
// sigmoid: the mask `silu` tells which.
import { inverseRms } from './rms-norm';
import { sigmoid } from './sigmoid';
import { loadUpTo, reject, storeUpTo, sumLanes } from './vectors';

export function rmsNormGated(
  x: usize, gate: usize, weight: usize, y: usize, rows: i32, width: i32, eps: f32, isSilu: bool,
): void {
  const stride = usize(width) << 2;
  const silu = i32x4.splat(isSilu ? -1 : 0);
  for (let row = 0; row < rows; row++, x += stride, gate += stride, y += stride) {
    const factor = f32x4.splat(inverseRms(x, width, eps));
    let c = 0;
    for (; c + 16 <= width; c += 16) {
      const at = usize(c) << 2, z = gate + at;
      const z0 = v128.load(z), z1 = v128.load(z, 16), z2 = v128.load(z, 32), z3 = v128.load(z, 48);
      forward(z0, x, weight, y, at, 4, factor, silu);
      forward(z1, x, weight, y, at + 16, 4, factor, silu);
      forward(z2, x, weight, y, at + 32, 4, factor, silu);
      forward(z3, x, weight, y, at + 48, 4, factor, silu);
    }
    for (; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      forward(loadUpTo(gate + at, left), x, weight, y, at, left, factor, silu);
    }
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
    for (; c + 16 <= width; c += 16) {
      const at = usize(c) << 2, z = gate + at;
      const z0 = v128.load(z), z1 = v128.load(z, 16), z2 = v128.load(z, 32), z3 = v128.load(z, 48);
      const p0 = backward(z0, x, weight, dy, dx, dGate, dWeight, at, 4, factor, silu);
      const p1 = backward(z1, x, weight, dy, dx, dGate, dWeight, at + 16, 4, factor, silu);
      const p2 = backward(z2, x, weight, dy, dx, dGate, dWeight, at + 32, 4, factor, silu);
      const p3 = backward(z3, x, weight, dy, dx, dGate, dWeight, at + 48, 4, factor, silu);
      products = f32x4.add(products, f32x4.add(f32x4.add(p0, p1), f32x4.add(p2, p3)));
    }
    for (; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      const z = loadUpTo(gate + at, left);
      products = f32x4.add(products, backward(z, x, weight, dy, dx, dGate, dWeight, at, left, factor, silu));
    }
    reject(dx, dx, x, (sumLanes(products) / f32(width)) * scale, scale, width);
    x += stride, gate += stride, dy += stride, dx += stride, dGate += stride;
  }
}

@inline
function forward(
  z: v128, x: usize, weight: usize, y: usize, at: usize, left: i32, factor: v128, silu: v128,
): void {
  const normal = f32x4.mul(f32x4.mul(loadUpTo(x + at, left), factor), loadUpTo(weight + at, left));
  const act = f32x4.mul(sigmoid(z), v128.bitselect(z, f32x4.splat(1), silu));
  storeUpTo(y + at, f32x4.mul(normal, act), left);
}

/** dGate and the row's part of dWeight; h goes to dx for now. Returns h ⊙ x̂. */
@inline
function backward(
  z: v128, x: usize, weight: usize, dy: usize, dx: usize, dGate: usize, dWeight: usize,
  at: usize, left: i32, factor: v128, silu: v128,
): v128 {
  const one = f32x4.splat(1);
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
