// silu(x) = x·σ(x) over n numbers.
import { sigmoid } from './sigmoid';
import { loadUpTo, storeUpTo } from './vectors';

/** y = silu(x); y may be x. */
export function silu(x: usize, y: usize, n: i32): void {
  let i = 0;
  for (; i + 16 <= n; i += 16) {
    const at = usize(i) << 2, from = x + at;
    const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
    v128.store(y + at, f32x4.mul(x0, sigmoid(x0)));
    v128.store(y + at, f32x4.mul(x1, sigmoid(x1)), 16);
    v128.store(y + at, f32x4.mul(x2, sigmoid(x2)), 32);
    v128.store(y + at, f32x4.mul(x3, sigmoid(x3)), 48);
  }
  for (; i < n; i += 4) {
    const at = usize(i) << 2;
    const value = loadUpTo(x + at, n - i);
    storeUpTo(y + at, f32x4.mul(value, sigmoid(value)), n - i);
  }
}

/** dx = dy ⊙ silu′(x); dx may be x. */
export function siluBackward(x: usize, dy: usize, dx: usize, n: i32): void {
  let i = 0;
  for (; i + 16 <= n; i += 16) {
    const at = usize(i) << 2, from = x + at;
    const x0 = v128.load(from), x1 = v128.load(from, 16), x2 = v128.load(from, 32), x3 = v128.load(from, 48);
    backward(x0, dy, dx, at, 4);
    backward(x1, dy, dx, at + 16, 4);
    backward(x2, dy, dx, at + 32, 4);
    backward(x3, dy, dx, at + 48, 4);
  }
  for (; i < n; i += 4) {
    const at = usize(i) << 2;
    backward(loadUpTo(x + at, n - i), dy, dx, at, n - i);
  }
}

/** silu′(x) = σ(x)(1 + x(1 − σ(x))). */
@inline
function backward(x: v128, dy: usize, dx: usize, at: usize, left: i32): void {
  const one = f32x4.splat(1);
  const open = sigmoid(x);
  const slope = f32x4.mul(open, f32x4.add(one, f32x4.mul(x, f32x4.sub(one, open))));
  storeUpTo(dx + at, f32x4.mul(loadUpTo(dy + at, left), slope), left);
}
