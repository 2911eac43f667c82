// Gradients of gated RMSNorm, y = (w ⊙ x̂) ⊙ act(z) with x̂ = r·x. With h = dy ⊙ act(z) ⊙ w: dx = r(h −
// x̂·mean(h ⊙ x̂)), dz = dy ⊙ w ⊙ x̂ ⊙ act′(z), dw = Σ_rows dy ⊙ act(z) ⊙ x̂. Rows are shared out as in
// forward.wgsl. Each workgroup leaves its part of dw, to be summed in a second stage.
override lanes: u32; // a power of two
override slots: u32;
override width: u32;
override isSilu: bool;

struct Uniforms {
  rows: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<storage, read_write> dGate: array<f32>;
@group(0) @binding(6) var<storage, read_write> partialDWeight: array<f32>;
@group(0) @binding(7) var<uniform> sizes: Uniforms;

var<workgroup> sums: array<vec2f, lanes * slots>;
/** Of each slot, over the rows that it has had. */
var<workgroup> dWeight: array<f32, slots * width>;

/** Sums over the lanes of a row. */
fn rowSums(values: vec2f, slot: u32, lane: u32) -> vec2f {
  let first = slot * lanes;
  sums[first + lane] = values;
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

struct Activation {
  value: f32,
  slope: f32,
}

/** act(z) and act′(z); only e^{≤0} is evaluated. */
fn activate(z: f32) -> Activation {
  let power = exp(-abs(z));
  let open = select(power, 1, z >= 0) / (1 + power);
  if (isSilu) {
    return Activation(z * open, open * (1 + z * (1 - open)));
  }
  return Activation(open, open * (1 - open));
}

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local.x;
  let slot = local.y;
  for (var c = lane; c < width; c += lanes) {
    dWeight[slot * width + c] = 0;
  }
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    let start = row * width;
    var products = vec2f();
    if (isRow) {
      for (var c = lane; c < width; c += lanes) {
        let value = x[start + c];
        let h = dy[start + c] * activate(gate[start + c]).value * weight[c];
        products += value * vec2f(value, h);
      }
    }
    let mean = rowSums(products, slot, lane) / f32(width);
    let factor = inverseSqrt(mean.x + sizes.eps);
    if (isRow) {
      for (var c = lane; c < width; c += lanes) {
        let slope = dy[start + c];
        let act = activate(gate[start + c]);
        let normal = x[start + c] * factor;
        let gated = slope * act.value;
        dx[start + c] = factor * (gated * weight[c] - normal * factor * mean.y);
        dGate[start + c] = slope * weight[c] * normal * act.slope;
        dWeight[slot * width + c] += gated * normal;
      }
    }
  }
  workgroupBarrier();
  for (var c = slot * lanes + lane; c < width; c += lanes * slots) {
    var sum = 0f;
    for (var s = 0u; s < slots; s++) {
      sum += dWeight[s * width + c];
    }
    partialDWeight[group.x * width + c] = sum;
  }
}
