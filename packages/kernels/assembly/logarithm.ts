// Logarithms without tables, by ln((1+s)/(1−s)) = 2(s + s³/3 + s⁵/5 + …).

const LN2: f64 = 0.6931471805599453;
const SQRT2: f64 = 1.4142135623730951;

/** ln x for a normal number x > 0, to about 1e-14; NaN for anything else. */
export function log(x: f64): f64 {
  if (!(x > 0 && x < Infinity)) return NaN;
  const bits = reinterpret<i64>(x);
  let exponent = i32(bits >> 52) - 1023;
  // The mantissa, in [1, 2), brought around 1 so that |s| ≤ 0.172.
  let mantissa = reinterpret<f64>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (mantissa > SQRT2) {
    mantissa *= 0.5;
    exponent += 1;
  }
  const s = (mantissa - 1) / (mantissa + 1);
  const q = s * s;
  let series: f64 = 1.0 / 17;
  for (let k = 15; k > 0; k -= 2) series = 1.0 / f64(k) + q * series;
  return f64(exponent) * LN2 + 2 * s * series;
}

/** ln(1 + u) for u in [0, 1], to 2e-7 relative, small u included. */
@inline
export function log1p(u: v128): v128 {
  // s ≤ 1/3.
  const s = f32x4.div(u, f32x4.add(u, f32x4.splat(2)));
  const q = f32x4.mul(s, s);
  let series = f32x4.splat(1.0 / 15);
  series = f32x4.add(f32x4.mul(series, q), f32x4.splat(1.0 / 13));
  series = f32x4.add(f32x4.mul(series, q), f32x4.splat(1.0 / 11));
  series = f32x4.add(f32x4.mul(series, q), f32x4.splat(1.0 / 9));
  series = f32x4.add(f32x4.mul(series, q), f32x4.splat(1.0 / 7));
  series = f32x4.add(f32x4.mul(series, q), f32x4.splat(1.0 / 5));
  series = f32x4.add(f32x4.mul(series, q), f32x4.splat(1.0 / 3));
  series = f32x4.add(f32x4.mul(series, q), f32x4.splat(1));
  return f32x4.mul(f32x4.add(s, s), series);
}
