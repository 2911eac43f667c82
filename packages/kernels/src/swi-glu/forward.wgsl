// y = silu(gate) ⊙ up, number by number.
struct Uniforms {
  count: u32, // of packs
}

@group(0) @binding(0) var<storage, read> gate: array<Pack>;
@group(0) @binding(1) var<storage, read> up: array<Pack>;
@group(0) @binding(2) var<storage, read_write> y: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let z = gate[i];
    y[i] = z * sigmoid(z) * up[i];
  }
}
