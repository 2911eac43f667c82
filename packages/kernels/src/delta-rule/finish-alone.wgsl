// finish.wgsl as a dispatch of its own.
@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens > 0) {
    finishRows(chunk, group.y, local);
  }
}
