// Running sums (`sumGates`) of chunks whose table there is.
struct Uniforms {
  channels: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  sumGates(chunks[group.y], id.x);
}
