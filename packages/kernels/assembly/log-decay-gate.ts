// The log-decay gate, g = −e^{aLog}·softplus(z) with z = a + dtBias. Four heads at a time run down all rows,
// so that their rates and sums stay in registers.
import { log1p } from './logarithm';
import { exp } from './math';
import { expNegative, sigmoid } from './sigmoid';
import { loadUpTo, storeUpTo } from './vectors';

/** softplus(z) = max(z, 0) + ln(1 + e^{−|z|}). */
@inline
function softplus(z: v128): v128 {
  return f32x4.add(f32x4.max(z, f32x4.splat(0)), log1p(expNegative(f32x4.neg(f32x4.abs(z)))));
}

export function logDecayGate(a: usize, aLog: usize, dtBias: usize, g: usize, rows: i32, heads: i32): void {
  for (let h = 0; h < heads; h += 4) {
    const left = heads - h;
    const rate = f32x4.neg(exp(loadUpTo(aLog + (h << 2), left)));
    const bias = loadUpTo(dtBias + (h << 2), left);
    for (let row = 0; row < rows; row++) {
      const at = usize(row * heads + h) << 2;
      storeUpTo(g + at, f32x4.mul(rate, softplus(f32x4.add(loadUpTo(a + at, left), bias))), left);
    }
  }
}

/** dA = −dg·e^{aLog}·σ(z), dDtBias = Σ dA, dALog = Σ dg·g. */
export function logDecayGateBackward(
  a: usize, aLog: usize, dtBias: usize, dg: usize, dA: usize, dALog: usize, dDtBias: usize,
  rows: i32, heads: i32,
): void {
  for (let h = 0; h < heads; h += 4) {
    const left = heads - h;
    const rate = f32x4.neg(exp(loadUpTo(aLog + (h << 2), left)));
    const bias = loadUpTo(dtBias + (h << 2), left);
    let sumA = f32x4.splat(0);
    let sumG = f32x4.splat(0);
    for (let row = 0; row < rows; row++) {
      const at = usize(row * heads + h) << 2;
      const z = f32x4.add(loadUpTo(a + at, left), bias);
      const slope = f32x4.mul(loadUpTo(dg + at, left), rate);
      const da = f32x4.mul(slope, sigmoid(z));
      storeUpTo(dA + at, da, left);
      sumA = f32x4.add(sumA, da);
      sumG = f32x4.add(sumG, f32x4.mul(slope, softplus(z)));
    }
    storeUpTo(dALog + (h << 2), sumG, left);
    storeUpTo(dDtBias + (h << 2), sumA, left);
  }
}
