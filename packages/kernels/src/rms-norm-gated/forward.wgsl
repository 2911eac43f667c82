// Gated RMSNorm: y = (w ⊙ x̂) ⊙ act(z) with x̂ = r·x, r = (mean x² + ε)^{-1/2}.
// A workgroup has `slots` rows in hand at a time; the `lanes` invocations of a row stride over its columns.
override lanes: u32; // a power of two
override slots: u32;
override isSilu: bool;

struct Uniforms {
  rows: u32,
  width: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

var<workgroup> sums: array<f32, lanes * slots>;

/** Sum over the lanes of a row. */
fn rowSum(value: f32, slot: u32, lane: u32) -> f32 {
  let first = slot * lanes;
  sums[first + lane] = value;
  workgroupBarrier();
  for (var half = lanes / 2; half > 0; half /= 2) {
    if (lane < half) {
      sums[first + lane] += sums[first + lane + half];
    }
    workgroupBarrier();
  }
  let sum = sums[first];
  workgroupBarrier();
  return sum;
}

/** Only e^{≤0} is evaluated. */
fn sigmoid(z: f32) -> f32 {
  let power = exp(-abs(z));
  return select(power, 1, z >= 0) / (1 + power);
}

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
    let start = row * sizes.width;
    var squares = 0f;
    if (isRow) {
      for (var c = lane; c < sizes.width; c += lanes) {
        let value = x[start + c];
        squares += value * value;
      }
    }
    let factor = inverseSqrt(rowSum(squares, slot, lane) / f32(sizes.width) + sizes.eps);
    if (isRow) {
      for (var c = lane; c < sizes.width; c += lanes) {
        let z = gate[start + c];
        let open = sigmoid(z);
        y[start + c] = x[start + c] * factor * weight[c] * select(open, open * z, isSilu);
      }
    }
  }
}
