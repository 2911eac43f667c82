// Gradients of gated RMSNorm, y = (w ⊙ x̂) ⊙ act(z) with x̂ = r·x. With h = dy ⊙ act(z) ⊙ w: dx = r(h −
// x̂·mean(h ⊙ x̂)), dz = dy ⊙ w ⊙ x̂ ⊙ act′(z), dw = Σ_rows dy ⊙ act(z) ⊙ x̂. Each workgroup leaves its part of dw, to
// be summed in a second stage.
override isSilu: bool;

struct Uniforms {
  rows: u32,
  width: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> gate: array<Pack>;
@group(0) @binding(2) var<storage, read> weight: array<Pack>;
@group(0) @binding(3) var<storage, read> dy: array<Pack>;
@group(0) @binding(4) var<storage, read_write> dx: array<Pack>;
@group(0) @binding(5) var<storage, read_write> dGate: array<Pack>;
@group(0) @binding(6) var<storage, read_write> partialDWeight: array<Pack>;
@group(0) @binding(7) var<uniform> sizes: Uniforms;

/** Of each slot, over the rows that it has had. */
var<workgroup> dWeight: array<Pack, slots * packs>;

struct Activation {
  value: Pack,
  slope: Pack,
}

/** act(z) and act′(z). */
fn activate(z: Pack) -> Activation {
  let open = sigmoid(z);
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
  for (var c = lane; c < packs; c += lanes) {
    dWeight[slot * packs + c] = Pack();
  }
  var scale = weight[min(lane, packs - 1)];
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    let start = row * packs;
    var value = Pack();
    var slope = Pack();
    var act = Activation();
    var products = vec2f();
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        value = x[start + c];
        slope = dy[start + c];
        act = activate(gate[start + c]);
        if (!isOnce) {
          scale = weight[c];
        }
        products += vec2f(dotOf(value, value), dotOf(value, slope * act.value * scale));
      }
    }
    let mean = rowSums(products, slot, lane) / sizes.width;
    let factor = inverseSqrt(mean.x + sizes.eps);
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = x[start + c];
          slope = dy[start + c];
          act = activate(gate[start + c]);
          scale = weight[c];
        }
        let normal = value * factor;
        let gated = slope * act.value;
        dx[start + c] = factor * (gated * scale - normal * factor * mean.y);
        dGate[start + c] = slope * scale * normal * act.slope;
        dWeight[slot * packs + c] += gated * normal;
      }
    }
  }
  workgroupBarrier();
  for (var c = slot * lanes + lane; c < packs; c += lanes * slots) {
    var sum = dWeight[c];
    for (var s = 1u; s < slots; s++) {
      sum += dWeight[s * packs + c];
    }
    partialDWeight[group.x * packs + c] = sum;
  }
}
