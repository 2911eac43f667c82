// The decay of each whole segment, for every channel.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  let own = segmentChunks[group.y];
  if (id.x >= channels() || own.y == 0) {
    return;
  }
  // A segment's chunks are full ones, but for the last.
  let start = chunks[own.x].start;
  let end = chunks[own.x + own.y - 1];
  let lastRow = end.start + end.tokens - 1;
  var sum = vec2f();
  for (var n = 0u; n < own.y; n += 4) {
    // A loop waits for what it reads: four at once.
    let rows = min(start + 64 * (n + vec4u(1, 2, 3, 4)) - 1, vec4u(lastRow));
    let a = sums[rows.x * channels() + id.x];
    let b = sums[rows.y * channels() + id.x];
    let c = sums[rows.z * channels() + id.x];
    let d = sums[rows.w * channels() + id.x];
    let isThere = n + vec3u(1, 2, 3) < vec3u(own.y);
    sum += a + select(vec2f(), b, isThere.x) + select(vec2f(), c, isThere.y) + select(vec2f(), d, isThere.z);
  }
  decays[group.y * channels() + id.x] = decayBetween(sum, vec2f());
}
