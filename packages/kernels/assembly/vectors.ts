// Rows of any length by vectors of four numbers. A step is told how many numbers are left: 4 as a constant
// leaves neither branch nor call in the loop, which would keep the engine from holding anything in registers.

/** Four numbers from p, or the n < 4 that there are and zeros. Reads no further. */
@inline
export function loadUpTo(p: usize, n: i32): v128 {
  return n >= 4 ? v128.load(p) : loadSome(p, n);
}

/** Writes the first min(n, 4) numbers of x to p. */
@inline
export function storeUpTo(p: usize, x: v128, n: i32): void {
  if (n >= 4) v128.store(p, x);
  else storeSome(p, x, n);
}

function loadSome(p: usize, n: i32): v128 {
  let x = f32x4.splat(0);
  if (n > 0) x = f32x4.replace_lane(x, 0, load<f32>(p));
  if (n > 1) x = f32x4.replace_lane(x, 1, load<f32>(p, 4));
  if (n > 2) x = f32x4.replace_lane(x, 2, load<f32>(p, 8));
  return x;
}

function storeSome(p: usize, x: v128, n: i32): void {
  if (n > 0) store<f32>(p, f32x4.extract_lane(x, 0));
  if (n > 1) store<f32>(p, f32x4.extract_lane(x, 1), 4);
  if (n > 2) store<f32>(p, f32x4.extract_lane(x, 2), 8);
}

/** Sum of the four numbers. */
@inline
export function sumLanes(x: v128): f32 {
  const even = f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 2);
  return even + (f32x4.extract_lane(x, 1) + f32x4.extract_lane(x, 3));
}

/** Σ xᵢyᵢ over n numbers. */
export function dot(x: usize, y: usize, n: i32): f32 {
  let sum = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= n; i += 4) {
    const at = usize(i) << 2;
    sum = f32x4.add(sum, f32x4.mul(v128.load(x + at), v128.load(y + at)));
  }
  const at = usize(i) << 2;
  if (i < n) sum = f32x4.add(sum, f32x4.mul(loadSome(x + at, n - i), loadSome(y + at, n - i)));
  return sumLanes(sum);
}

/** y = a·x over n numbers. */
export function scale(y: usize, x: usize, a: f32, n: i32): void {
  let i = 0;
  for (; i + 4 <= n; i += 4) scaleStep(y, x, a, i, 4);
  if (i < n) scaleStep(y, x, a, i, n - i);
}

@inline
function scaleStep(y: usize, x: usize, a: f32, i: i32, left: i32): void {
  const at = usize(i) << 2;
  storeUpTo(y + at, f32x4.mul(loadUpTo(x + at, left), f32x4.splat(a)), left);
}

/** y += a·x over n numbers. */
export function addScaled(y: usize, x: usize, a: f32, n: i32): void {
  let i = 0;
  for (; i + 4 <= n; i += 4) addScaledStep(y, x, a, i, 4);
  if (i < n) addScaledStep(y, x, a, i, n - i);
}

@inline
function addScaledStep(y: usize, x: usize, a: f32, i: i32, left: i32): void {
  const at = usize(i) << 2;
  const added = f32x4.mul(loadUpTo(x + at, left), f32x4.splat(a));
  storeUpTo(y + at, f32x4.add(loadUpTo(y + at, left), added), left);
}

/** y = factor·(h − pull·x) over n numbers, the gradient through a norm; y may be h. */
export function reject(y: usize, h: usize, x: usize, pull: f32, factor: f32, n: i32): void {
  let i = 0;
  for (; i + 4 <= n; i += 4) rejectStep(y, h, x, pull, factor, i, 4);
  if (i < n) rejectStep(y, h, x, pull, factor, i, n - i);
}

@inline
function rejectStep(y: usize, h: usize, x: usize, pull: f32, factor: f32, i: i32, left: i32): void {
  const at = usize(i) << 2;
  const rest = f32x4.sub(loadUpTo(h + at, left), f32x4.mul(loadUpTo(x + at, left), f32x4.splat(pull)));
  storeUpTo(y + at, f32x4.mul(rest, f32x4.splat(factor)), left);
}
