// Gated RMSNorm: y = (w ⊙ x̂) ⊙ act(z) with x̂ = r·x, r = (mean x² + ε)^{-1/2}.
override isSilu: bool;

struct Uniforms {
  rows: u32,
  width: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> gate: array<Pack>;
@group(0) @binding(2) var<storage, read> weight: array<Pack>;
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
  var scale = weight[min(lane, packs - 1)];
  for (var first = group.x * slots; first < sizes.rows; first += groups.x * slots) {
    let row = first + slot;
    let isRow = row < sizes.rows;
    let start = row * packs;
    var value = Pack();
    var z = Pack();
    var squares = 0f;
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        value = x[start + c];
        if (isOnce) {
          z = gate[start + c];
        }
        squares += dotOf(value, value);
      }
    }
    let factor = inverseSqrt(rowSums(vec2f(squares, 0), slot, lane).x / sizes.width + sizes.eps);
    if (isRow) {
      for (var c = lane; c < packs; c += lanes) {
        if (!isOnce) {
          value = x[start + c];
          z = gate[start + c];
          scale = weight[c];
        }
        let open = sigmoid(z);
        y[start + c] = value * factor * scale * select(open, open * z, isSilu);
      }
    }
  }
}
