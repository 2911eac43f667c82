// silu(x) = x·σ(x) over n numbers. Two vectors a turn share the exponential's constants, which cost more to
// load than to use.
import { sigmoid } from './math';
import { loadUpTo, storeUpTo } from './vectors';

/** y = silu(x); y may be x. */
export function silu(x: usize, y: usize, n: i32): void {
  let i = 0;
  for (; i + 8 <= n; i += 8) {
    forward(x, y, i, 4);
    forward(x, y, i + 4, 4);
  }
  for (; i < n; i += 4) forward(x, y, i, n - i);
}

/** dx = dy ⊙ σ(x)(1 + x(1 − σ(x))); dx may be x. */
export function siluBackward(x: usize, dy: usize, dx: usize, n: i32): void {
  let i = 0;
  for (; i + 8 <= n; i += 8) {
    backward(x, dy, dx, i, 4);
    backward(x, dy, dx, i + 4, 4);
  }
  for (; i < n; i += 4) backward(x, dy, dx, i, n - i);
}

@inline
function forward(x: usize, y: usize, i: i32, left: i32): void {
  const at = usize(i) << 2;
  const value = loadUpTo(x + at, left);
  storeUpTo(y + at, f32x4.mul(value, sigmoid(value)), left);
}

@inline
function backward(x: usize, dy: usize, dx: usize, i: i32, left: i32): void {
  const at = usize(i) << 2;
  const value = loadUpTo(x + at, left);
  storeUpTo(dx + at, f32x4.mul(loadUpTo(dy + at, left), siluSlope(value)), left);
}

/** silu′(x) = σ(x)(1 + x(1 − σ(x))). */
@inline
function siluSlope(x: v128): v128 {
  const one = f32x4.splat(1);
  const open = sigmoid(x);
  return f32x4.mul(open, f32x4.add(one, f32x4.mul(x, f32x4.sub(one, open))));
}
