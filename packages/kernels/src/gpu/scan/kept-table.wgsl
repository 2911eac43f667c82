// In place of chunk-table.wgsl where the forward pass has kept the table.
struct Uniforms {
  channels: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  sumGates(chunks[group.y], id.x);
}
