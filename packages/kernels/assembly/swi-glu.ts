// SwiGLU's gate over n numbers, y = silu(gate) ⊙ up. Two vectors a turn share the exponential's constants,
// which cost more to load than to use.
import { sigmoid } from './math';
import { loadUpTo, storeUpTo } from './vectors';

export function swiGlu(gate: usize, up: usize, y: usize, n: i32): void {
  let i = 0;
  for (; i + 8 <= n; i += 8) {
    forward(gate, up, y, i, 4);
    forward(gate, up, y, i + 4, 4);
  }
  for (; i < n; i += 4) forward(gate, up, y, i, n - i);
}

/** dGate = dy ⊙ up ⊙ σ(z)(1 + z(1 − σ(z))), dUp = dy ⊙ silu(z). */
export function swiGluBackward(gate: usize, up: usize, dy: usize, dGate: usize, dUp: usize, n: i32): void {
  let i = 0;
  for (; i + 8 <= n; i += 8) {
    backward(gate, up, dy, dGate, dUp, i, 4);
    backward(gate, up, dy, dGate, dUp, i + 4, 4);
  }
  for (; i < n; i += 4) backward(gate, up, dy, dGate, dUp, i, n - i);
}

@inline
function forward(gate: usize, up: usize, y: usize, i: i32, left: i32): void {
  const at = usize(i) << 2;
  const z = loadUpTo(gate + at, left);
  storeUpTo(y + at, f32x4.mul(f32x4.mul(z, sigmoid(z)), loadUpTo(up + at, left)), left);
}

@inline
function backward(gate: usize, up: usize, dy: usize, dGate: usize, dUp: usize, i: i32, left: i32): void {
  const one = f32x4.splat(1);
  const at = usize(i) << 2;
  const z = loadUpTo(gate + at, left);
  const slope = loadUpTo(dy + at, left);
  const open = sigmoid(z);
  const siluSlope = f32x4.mul(open, f32x4.add(one, f32x4.mul(z, f32x4.sub(one, open))));
  storeUpTo(dGate + at, f32x4.mul(f32x4.mul(slope, loadUpTo(up + at, left)), siluSlope), left);
  storeUpTo(dUp + at, f32x4.mul(slope, f32x4.mul(z, open)), left);
}
