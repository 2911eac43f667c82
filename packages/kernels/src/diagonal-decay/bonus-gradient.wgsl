// Each chunk's part of the bonus's gradient, du = Σ_t (dO_t · v_t) q_t ⊙ k_t: [chunks, H · dk].

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  let c = group.x * 64 + local;
  if (c >= sizes.keyWidth) {
    return;
  }
  let channel = group.y * sizes.keyWidth + c;
  let width = sizes.heads * sizes.keyWidth;
  var sum = 0f;
  for (var t = 0u; t < chunk.tokens; t++) {
    let at = (chunk.start + t) * width + channel;
    sum += dScores[((group.z * sizes.heads + group.y) * 64 + t) * 64 + t] * q[at] * k[at];
  }
  parts[group.z * width + channel] = sizes.scoreScale * sum;
}
