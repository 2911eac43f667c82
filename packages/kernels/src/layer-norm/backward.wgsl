// Gradients of LayerNorm. With x̂ = r(x − mean x), r = (var x + ε)^{-1/2} and h = dy ⊙ w: dx = r(h − mean h −
// x̂·mean(h ⊙ x̂)), dw = Σ dy ⊙ x̂ and db = Σ dy over the rows at each place of a period. The workgroups of a place, `parts` of
// them, stride over its rows, and each leaves its part of dw and db, to be summed in a second stage.
override isWeighted: bool;
override isBiased: bool;

struct Uniforms {
  periods: u32,
  period: u32,
  width: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> weight: array<Pack>; // looked at only if there is one
@group(0) @binding(2) var<storage, read> dy: array<Pack>;
@group(0) @binding(3) var<storage, read_write> dx: array<Pack>;
@group(0) @binding(4) var<storage, read_write> partials: array<Pack>; // rows of dw and db, of all places each
@group(0) @binding(5) var<uniform> sizes: Uniforms;

/** Of each slot, over the rows that it has had. */
var<workgroup> dWeight: array<Pack, select(1, slots * packs, isWeighted)>;
var<workgroup> dBias: array<Pack, select(1, slots * packs, isBiased)>;

fn weightAt(at: u32) -> Pack {
  if (isWeighted) {
    return weight[at];
  }
  return Pack(1);
}

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local.x;
  let slot = local.y;
  let own = slot * packs;
  for (var c = lane; c < packs; c += lanes) {
    if (isWeighted) {
      dWeight[own + c] = Pack();
    }
    if (isBiased) {
      dBias[own + c] = Pack();
    }
  }
  let place = group.x % sizes.period;
  let part = group.x / sizes.period;
  let parts = groups.x / sizes.period;
  var scale = weightAt(place * packs + min(lane, packs - 1));
  for (var first = part * slots; first < sizes.periods; first += parts * slots) {
    let isRow = first + slot < sizes.periods;
    let start = ((first + slot) * sizes.period + place) * packs;
    var value = Pack();
    var slope = Pack();
    var sum = vec2f();
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        value = x[start + c];
        slope = dy[start + c];
        if (!isOnce) {
          scale = weightAt(place * packs + c);
        }
        sum += vec2f(dotOf(value, Pack(1)), dotOf(slope, scale));
      }
    }
    let mean = rowSums(sum, slot, lane) / sizes.width;
    var products = vec2f();
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = x[start + c];
          slope = dy[start + c];
          scale = weightAt(place * packs + c);
        }
        let centred = value - mean.x;
        products += vec2f(dotOf(centred, centred), dotOf(centred, slope * scale));
      }
    }
    let moments = rowSums(products, slot, lane) / sizes.width;
    let factor = inverseSqrt(moments.x + sizes.eps);
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = x[start + c];
          slope = dy[start + c];
          scale = weightAt(place * packs + c);
        }
        let normal = (value - mean.x) * factor;
        dx[start + c] = factor * (slope * scale - mean.y - normal * factor * moments.y);
        if (isWeighted) {
          dWeight[own + c] += slope * normal;
        }
        if (isBiased) {
          dBias[own + c] += slope;
        }
      }
    }
  }
  workgroupBarrier();
  let affine = sizes.period * packs;
  let ofPart = part * affine * (u32(isWeighted) + u32(isBiased)) + place * packs;
  for (var c = slot * lanes + lane; c < packs; c += lanes * slots) {
    if (isWeighted) {
      var sum = dWeight[c];
      for (var s = 1u; s < slots; s++) {
        sum += dWeight[s * packs + c];
      }
      partials[ofPart + c] = sum;
    }
    if (isBiased) {
      var sum = dBias[c];
      for (var s = 1u; s < slots; s++) {
        sum += dBias[s * packs + c];
      }
      partials[ofPart + select(0, affine, isWeighted) + c] = sum;
    }
  }
}
