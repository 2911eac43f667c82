// y_n = W[id_n]; zeros for an id of −1.
struct Uniforms {
  count: u32, // of packs
  packs: u32, // of a row
}

@group(0) @binding(0) var<storage, read> weight: array<Pack>;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let row = ids[i / sizes.packs];
    var value = Pack();
    if (row >= 0) {
      value = weight[u32(row) * sizes.packs + i % sizes.packs];
    }
    y[i] = value;
  }
}
