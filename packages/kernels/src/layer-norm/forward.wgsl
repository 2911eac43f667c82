// LayerNorm: y = w ⊙ x̂ + b with x̂ = r(x − mean x), r = (var x + ε)^{-1/2}. Weight and bias have a row for each place in
// a period of rows.
override isWeighted: bool;
override isBiased: bool;

struct Uniforms {
  rows: u32,
  period: u32,
  width: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> weight: array<Pack>; // looked at only if there is one
@group(0) @binding(2) var<storage, read> bias: array<Pack>; // likewise
@group(0) @binding(3) var<storage, read_write> y: array<Pack>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local.x;
  let slot = local.y;
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    let start = row * packs;
    let place = row % sizes.period * packs;
    var value = Pack();
    var sum = 0f;
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        value = x[start + c];
        sum += dotOf(value, Pack(1));
      }
    }
    let mean = rowSums(vec2f(sum, 0), slot, lane).x / sizes.width;
    // Squares of differences: the difference of squares would lose what little varies beside a large mean.
    var squares = 0f;
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = x[start + c];
        }
        squares += dotOf(value - mean, value - mean);
      }
    }
    let factor = inverseSqrt(rowSums(vec2f(squares, 0), slot, lane).x / sizes.width + sizes.eps);
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = x[start + c];
        }
        var normal = (value - mean) * factor;
        if (isWeighted) {
          normal *= weight[place + c];
        }
        if (isBiased) {
          normal += bias[place + c];
        }
        y[start + c] = normal;
      }
    }
  }
}
