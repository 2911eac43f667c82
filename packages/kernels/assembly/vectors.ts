// Vectors of four numbers at the ragged end of a row, and sums across a vector.

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
  return (f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 2)) + (f32x4.extract_lane(x, 1) + f32x4.extract_lane(x, 3));
}
