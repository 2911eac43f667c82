// y = w ⊙ r·x with r = (Σx² / divisor + ε)^{-1/2}. What stands before this text: the bindings, valueAt, scaleAt, leave, put.
override isWeighted: bool;

struct Uniforms {
  rows: u32,
  divisor: f32,
  eps: f32,
}

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local.x;
  let slot = local.y;
  var scale = scaleAt(min(lane, packs - 1));
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    let start = row * packs;
    var value = Pack();
    var squares = 0f;
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        value = valueAt(start + c);
        leave(start + c, value);
        squares += dotOf(value, value);
      }
    }
    let factor = inverseSqrt(rowSums(vec2f(squares, 0), slot, lane).x / sizes.divisor + sizes.eps);
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = valueAt(start + c);
          scale = scaleAt(c);
        }
        put(start + c, value * factor * scale);
      }
    }
  }
}
