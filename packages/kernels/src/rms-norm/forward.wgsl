// y = w ⊙ r·x with r = (Σx² / divisor + ε)^{-1/2}.
override isWeighted: bool;

struct Uniforms {
  rows: u32,
  divisor: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> weight: array<Pack>; // looked at only if there is one
@group(0) @binding(2) var<storage, read_write> y: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

fn weightAt(c: u32) -> Pack {
  if (isWeighted) {
    return weight[c];
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
  var scale = weightAt(min(lane, packs - 1));
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    let start = row * packs;
    var value = Pack();
    var squares = 0f;
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        value = x[start + c];
        squares += dotOf(value, value);
      }
    }
    let factor = inverseSqrt(rowSums(vec2f(squares, 0), slot, lane).x / sizes.divisor + sizes.eps);
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = x[start + c];
          scale = weightAt(c);
        }
        y[start + c] = value * factor * scale;
      }
    }
  }
}
