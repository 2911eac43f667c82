// Gradient of one gate for each key channel, from what pull.wgsl has left in `gates`: reads at or behind the gate, less writes at
// or behind it by way of the scores (those that both are behind it cancel), writes before it by way of the state,
// and the state that passes through the whole chunk. An invocation has one channel.

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  let c = group.x * 64 + local;
  if (c >= sizes.keyWidth || chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let channel = head * sizes.keyWidth + c;
  let row = (group.z * sizes.heads + head) * sizes.keyWidth + c;
  var passing = 0f;
  for (var column = 0u; column < sizes.valueWidth; column += 4) {
    passing += dot(statesAt(row, column), dStatesAt(row, column));
  }
  passing *= decayBetween(sumThrough(chunk, i32(chunk.tokens) - 1, channel), vec2f());

  let width = sizes.heads * sizes.keyWidth;
  let size = sizes.rows * width;
  let at0 = chunk.start * width + channel;
  for (var t = 0u; t < chunk.tokens; t++) {
    let at = at0 + t * width;
    dLogDecay[at] = passing;
    passing += gates[2 * size + at];
  }
  var behind = 0f;
  for (var n = 0u; n < chunk.tokens; n++) {
    let at = at0 + (chunk.tokens - 1 - n) * width;
    let reads = gates[at];
    behind -= gates[size + at];
    dLogDecay[at] += select(behind + reads, behind, sizes.before != 0);
    behind += reads;
  }
}
