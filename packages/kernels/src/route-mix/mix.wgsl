// y[r] = Σ_j weights[r, j]·o[position[r, j]], where choices behind those that have a weight have weight 1; a position of −1 adds
// nothing.

struct Uniforms {
  /** Packs of y. */
  count: u32,
  /** Packs of a row. */
  packs: u32,
  /** Choices of a row, and those that have a weight. */
  chosen: u32,
  weighted: u32,
}

@group(0) @binding(0) var<storage, read> o: array<Pack>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<Pack>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let row = i / sizes.packs;
    var sum = Pack();
    for (var j = 0u; j < sizes.chosen; j++) {
      let place = position[row * sizes.chosen + j];
      if (place >= 0) {
        let value = o[u32(place) * sizes.packs + i % sizes.packs];
        if (j < sizes.weighted) {
          sum += weights[row * sizes.weighted + j] * value;
        } else {
          sum += value;
        }
      }
    }
    y[i] = sum;
  }
}
