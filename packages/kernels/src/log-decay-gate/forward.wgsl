// g = −e^{aLog}·softplus(a + dtBias). What stands before this text: the bindings, and `alongside`.
struct Uniforms {
  count: u32,
  heads: u32,
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let head = i % sizes.heads;
    g[i] = -exp(aLog[head]) * softplus(a[i] + dtBias[head]);
    alongside(i);
  }
}
