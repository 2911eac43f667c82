// ln(1 + e^z) to the last digits on both sides, and σ(z). Only e^{≤0} is evaluated, and ln(1 + u) is 2·artanh(u / (2 + u)) by its
// series: log(1 + u) itself would lose what is small.
fn softplus(z: f32) -> f32 {
  let power = exp(-abs(z));
  let s = power / (2 + power);
  let t = s * s;
  let series = 1 + t * (1f / 3 + t * (1f / 5 + t * (1f / 7 + t * (1f / 9 + t * (1f / 11 + t * (1f / 13 + t / 15))))));
  return max(z, 0) + 2 * s * series;
}

fn sigmoid(z: f32) -> f32 {
  let power = exp(-abs(z));
  return select(power, 1, z >= 0) / (1 + power);
}
