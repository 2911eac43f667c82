// AdamW for the tensors of one dispatch. What stands before and behind this text is written for their number.
struct Parameter {
  @align(16) count: u32, // of packs
  gradFactor: f32,
  beta1: f32,
  beta2: f32,
  rest1: f32, // 1 − β₁, and not from the rounded β₁
  rest2: f32,
  keep: f32,
  stepSize: f32,
  rootScale: f32,
  epsilon: f32,
}

struct Updated {
  param: Pack,
  m: Pack,
  v: Pack,
}

fn updated(own: Parameter, param: Pack, grad: Pack, m: Pack, v: Pack, scale: f32) -> Updated {
  let g = grad * (own.gradFactor * scale);
  let mean = own.beta1 * m + own.rest1 * g;
  let meanSquare = own.beta2 * v + own.rest2 * g * g;
  let update = mean / (sqrt(meanSquare) * own.rootScale + own.epsilon);
  return Updated(param * own.keep - update * own.stepSize, mean, meanSquare);
}
