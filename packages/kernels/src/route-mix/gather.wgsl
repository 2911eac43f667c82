// y[u] = x[source[u]], 0 where there is no source.
struct Uniforms {
  /** Packs of y. */
  count: u32,
  /** Packs of a row. */
  packs: u32,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> source: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let row = source[i / sizes.packs];
    var value = Pack();
    if (row >= 0) {
      value = x[u32(row) * sizes.packs + i % sizes.packs];
    }
    y[i] = value;
  }
}
