// SwiGLU's gate over n numbers, y = silu(gate) ⊙ up.
import { sigmoid } from './math';
import { loadUpTo, storeUpTo } from './vectors';

export function swiGlu(gate: usize, up: usize, y: usize, n: i32): void {
  for (let i = 0; i < n; i += 4) {
    const at = usize(i) << 2, left = n - i;
    const z = loadUpTo(gate + at, left);
    storeUpTo(y + at, f32x4.mul(f32x4.mul(z, sigmoid(z)), loadUpTo(up + at, left)), left);
  }
}

/** dGate = dy ⊙ up ⊙ σ(z)(1 + z(1 − σ(z))), dUp = dy ⊙ silu(z). */
export function swiGluBackward(gate: usize, up: usize, dy: usize, dGate: usize, dUp: usize, n: i32): void {
  const one = f32x4.splat(1);
  for (let i = 0; i < n; i += 4) {
    const at = usize(i) << 2, left = n - i;
    const z = loadUpTo(gate + at, left);
    const slope = loadUpTo(dy + at, left);
    const open = sigmoid(z);
    const siluSlope = f32x4.mul(open, f32x4.add(one, f32x4.mul(z, f32x4.sub(one, open))));
    storeUpTo(dGate + at, f32x4.mul(f32x4.mul(slope, loadUpTo(up + at, left)), siluSlope), left);
    storeUpTo(dUp + at, f32x4.mul(slope, f32x4.mul(z, open)), left);
  }
}
