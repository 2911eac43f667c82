// The exponential where it cannot overflow, and the sigmoid on top of it. Their constants cost more to load
// than to use, so callers load four vectors first and then work on them in turn: that shares the constants,
// and takes half the time of one vector at a time.
import { expRest } from './math';

/** e^x of four numbers x ≤ 0, to 2e-7. Below −87.3, where results would be subnormal, 0; NaN stays NaN. */
@inline
export function expNegative(x: v128): v128 {
  // x = n·ln 2 + r. Adding 1.5·2^23 rounds to the whole number n, and leaves it in the low bits, from where it goes
  // to the exponent.
  const magic = f32x4.splat(12582912);
  const shifted = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), magic);
  const n = f32x4.sub(shifted, magic);
  const power = i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(expRest(x, n), power), f32x4.lt(x, f32x4.splat(-87.33654)));
}

/** 1/(1 + e^{−x}) of four numbers. Only e^{≤0} is evaluated. */
@inline
export function sigmoid(x: v128): v128 {
  const power = expNegative(f32x4.neg(f32x4.abs(x)));
  const below = f32x4.div(power, f32x4.add(power, f32x4.splat(1)));
  return v128.bitselect(below, f32x4.sub(f32x4.splat(1), below), f32x4.lt(x, f32x4.splat(0)));
}
