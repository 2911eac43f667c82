// SwiGLU's gate over n numbers, y = silu(gate) ⊙ up.
import { sigmoid } from './sigmoid';
import { loadUpTo, storeUpTo } from './vectors';

export function swiGlu(gate: usize, up: usize, y: usize, n: i32): void {
  let i = 0;
  for (; i + 16 <= n; i += 16) {
    const at = usize(i) << 2, z = gate + at;
    const z0 = v128.load(z), z1 = v128.load(z, 16), z2 = v128.load(z, 32), z3 = v128.load(z, 48);
    forward(z0, up, y, at, 4);
    forward(z1, up, y, at + 16, 4);
    forward(z2, up, y, at + 32, 4);
    forward(z3, up, y, at + 48, 4);
  }
  for (; i < n; i += 4) {
    const at = usize(i) << 2;
    forward(loadUpTo(gate + at, n - i), up, y, at, n - i);
  }
}

/** dGate = dy ⊙ up ⊙ σ(z)(1 + z(1 − σ(z))), dUp = dy ⊙ silu(z). */
export function swiGluBackward(gate: usize, up: usize, dy: usize, dGate: usize, dUp: usize, n: i32): void {
  let i = 0;
  for (; i + 16 <= n; i += 16) {
    const at = usize(i) << 2, z = gate + at;
    const z0 = v128.load(z), z1 = v128.load(z, 16), z2 = v128.load(z, 32), z3 = v128.load(z, 48);
    backward(z0, up, dy, dGate, dUp, at, 4);
    backward(z1, up, dy, dGate, dUp, at + 16, 4);
    backward(z2, up, dy, dGate, dUp, at + 32, 4);
    backward(z3, up, dy, dGate, dUp, at + 48, 4);
  }
  for (; i < n; i += 4) {
    const at = usize(i) << 2;
    backward(loadUpTo(gate + at, n - i), up, dy, dGate, dUp, at, n - i);
  }
}

@inline
function forward(z: v128, up: usize, y: usize, at: usize, left: i32): void {
  storeUpTo(y + at, f32x4.mul(f32x4.mul(z, sigmoid(z)), loadUpTo(up + at, left)), left);
}

@inline
function backward(z: v128, up: usize, dy: usize, dGate: usize, dUp: usize, at: usize, left: i32): void {
  const one = f32x4.splat(1);
  const slope = loadUpTo(dy + at, left);
  const open = sigmoid(z);
  const siluSlope = f32x4.mul(open, f32x4.add(one, f32x4.mul(z, f32x4.sub(one, open))));
  storeUpTo(dGate + at, f32x4.mul(f32x4.mul(slope, loadUpTo(up + at, left)), siluSlope), left);
  storeUpTo(dUp + at, f32x4.mul(slope, f32x4.mul(z, open)), left);
}
