// Gradients of y = w ⊙ x̂, x̂ = r·x, r = (Σx² / divisor + ε)^{-1/2}. With h = dy ⊙ w: dx = r(h − x̂·Σ(h ⊙ x̂) / divisor),
// dw = Σ_rows dy ⊙ x̂. Each workgroup leaves its part of dw, to be summed in a second stage.
// What stands before this text: the bindings, valueAt, slopeAt, scaleAt, put, leaveDWeight.
override isWeighted: bool;

struct Uniforms {
  rows: u32,
  divisor: f32,
  eps: f32,
}

/** Of each slot, over the rows that it has had. */
var<workgroup> dWeight: array<Pack, select(1, slots * packs, isWeighted)>;

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local.x;
  let slot = local.y;
  if (isWeighted) {
    for (var c = lane; c < packs; c += lanes) {
      dWeight[slot * packs + c] = Pack();
    }
  }
  var scale = scaleAt(min(lane, packs - 1));
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    let start = row * packs;
    var value = Pack();
    var slope = Pack();
    var products = vec2f();
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        value = valueAt(start + c);
        slope = slopeAt(start + c);
        if (!isOnce) {
          scale = scaleAt(c);
        }
        products += vec2f(dotOf(value, value), dotOf(value, slope * scale));
      }
    }
    let mean = rowSums(products, slot, lane) / sizes.divisor;
    let factor = inverseSqrt(mean.x + sizes.eps);
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = valueAt(start + c);
          slope = slopeAt(start + c);
          scale = scaleAt(c);
        }
        let normal = value * factor;
        put(start + c, factor * (slope * scale - normal * factor * mean.y));
        if (isWeighted) {
          dWeight[slot * packs + c] += slope * normal;
        }
      }
    }
  }
  if (isWeighted) {
    workgroupBarrier();
    for (var c = slot * lanes + lane; c < packs; c += lanes * slots) {
      var sum = dWeight[c];
      for (var s = 1u; s < slots; s++) {
        sum += dWeight[s * packs + c];
      }
      leaveDWeight(group.x * packs + c, sum);
    }
  }
}
