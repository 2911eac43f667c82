// As forward.wgsl, of the two halves of each row.
struct Uniforms {
  count: u32, // of packs of y
  width: u32, // packs of a half
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read_write> y: array<Pack>;
@group(0) @binding(2) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let at = i + i / sizes.width * sizes.width;
    let z = x[at];
    y[i] = z * sigmoid(z) * x[at + sizes.width];
  }
}
