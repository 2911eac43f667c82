// g = −e^{aLog}·softplus(a + dtBias).
struct Uniforms {
  count: u32,
  heads: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> aLog: array<f32>;
@group(0) @binding(2) var<storage, read> dtBias: array<f32>;
@group(0) @binding(3) var<storage, read_write> g: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let head = i % sizes.heads;
    g[i] = -exp(aLog[head]) * softplus(a[i] + dtBias[head]);
  }
}
