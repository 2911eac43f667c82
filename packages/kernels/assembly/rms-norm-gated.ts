// Gated RMSNorm of rows, y = (w ⊙ x̂) ⊙ act(z) with x̂ = r·x, r = (mean x² + ε)^{-1/2}; act is silu or the sigmoid.
import { inverseRms } from './rms-norm';
import { sigmoid } from './math';
import { loadUpTo, storeUpTo, sumLanes } from './vectors';

export function rmsNormGated(
  x: usize, gate: usize, weight: usize, y: usize, rows: i32, width: i32, eps: f32, isSilu: bool,
): void {
  const stride = usize(width) << 2;
  for (let row = 0; row < rows; row++, x += stride, gate += stride, y += stride) {
    const factor = f32x4.splat(inverseRms(x, width, eps));
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      const z = loadUpTo(gate + at, left);
      const normal = f32x4.mul(f32x4.mul(loadUpTo(x + at, left), factor), loadUpTo(weight + at, left));
      const open = sigmoid(z);
      storeUpTo(y + at, f32x4.mul(normal, isSilu ? f32x4.mul(open, z) : open), left);
    }
  }
}

/** With h = dy ⊙ act(z) ⊙ w: dx = r(h − x̂·mean(h ⊙ x̂)), dGate = dy ⊙ w ⊙ x̂ ⊙ act′(z), dWeight = Σ dy ⊙ act(z) ⊙ x̂. */
export function rmsNormGatedBackward(
  x: usize, gate: usize, weight: usize, dy: usize, dx: usize, dGate: usize, dWeight: usize,
  rows: i32, width: i32, eps: f32, isSilu: bool,
): void {
  const stride = usize(width) << 2;
  const one = f32x4.splat(1);
  memory.fill(dWeight, 0, stride);
  for (let row = 0; row < rows; row++, x += stride, gate += stride, dy += stride, dx += stride, dGate += stride) {
    const scale = inverseRms(x, width, eps);
    const factor = f32x4.splat(scale);
    let products = f32x4.splat(0);
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      const z = loadUpTo(gate + at, left);
      const w = loadUpTo(weight + at, left);
      const slope = loadUpTo(dy + at, left);
      const normal = f32x4.mul(loadUpTo(x + at, left), factor);
      const open = sigmoid(z);
      const shut = f32x4.sub(one, open);
      // silu′(z) = σ(1 + z(1 − σ)), σ′(z) = σ(1 − σ).
      const actSlope = f32x4.mul(open, isSilu ? f32x4.add(one, f32x4.mul(z, shut)) : shut);
      const gated = f32x4.mul(slope, isSilu ? f32x4.mul(open, z) : open);
      storeUpTo(dGate + at, f32x4.mul(f32x4.mul(slope, f32x4.mul(normal, w)), actSlope), left);
      storeUpTo(dWeight + at, f32x4.add(loadUpTo(dWeight + at, left), f32x4.mul(gated, normal)), left);
      const h = f32x4.mul(gated, w);
      storeUpTo(dx + at, h, left);
      products = f32x4.add(products, f32x4.mul(h, normal));
    }
    const pull = f32x4.splat((sumLanes(products) / f32(width)) * scale);
    for (let c = 0; c < width; c += 4) {
      const at = usize(c) << 2, left = width - c;
      const rest = f32x4.sub(loadUpTo(dx + at, left), f32x4.mul(loadUpTo(x + at, left), pull));
      storeUpTo(dx + at, f32x4.mul(rest, factor), left);
    }
  }
}
