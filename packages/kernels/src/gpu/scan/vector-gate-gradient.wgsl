// Gradient of one gate for each key channel, from what pull.wgsl has left in `gates`: reads at or behind the gate, less writes at
// or behind it by way of the scores (those that both are behind it cancel), writes before it by way of the state,
// and the state that passes through the whole chunk. A workgroup has 64 channels, an invocation 16 tokens of one.
const part = 16u;
const parts = 4u;

/** Products of a row of both states, in 16 parts. */
var<workgroup> products: array<f32, 64 * 17>;
/** Of 16 tokens: writes by way of the state, and reads less writes by way of the scores. */
var<workgroup> totals: array<vec2f, 64 * parts>;

@compute @workgroup_size(64, parts)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let channel0 = group.x * 64;
  for (var row = local / 16; row < min(64, sizes.keyWidth - channel0); row += 16) {
    let at = (group.z * sizes.heads + head) * sizes.keyWidth + channel0 + row;
    var product = 0f;
    for (var column = 4 * (local % 16); column < sizes.valueWidth; column += 64) {
      product += dot(statesAt(at, column), dStatesAt(at, column));
    }
    products[row * 17 + local % 16] = product;
  }

  let channel = head * sizes.keyWidth + min(channel0 + id.x, sizes.keyWidth - 1);
  let width = sizes.heads * sizes.keyWidth;
  let size = sizes.rows * width;
  let at0 = chunk.start * width + channel;
  let first = id.y * part;
  var reads: array<f32, part>;
  var writes: array<f32, part>;
  var stateWrites: array<f32, part>;
  for (var t = 0u; t < part; t++) {
    let at = at0 + min(first + t, chunk.tokens - 1) * width;
    reads[t] = gates[at];
    writes[t] = gates[size + at];
    stateWrites[t] = gates[2 * size + at];
  }
  var total = vec2f();
  for (var t = 0u; t < part; t++) {
    if (first + t < chunk.tokens) {
      total += vec2f(stateWrites[t], reads[t] - writes[t]);
    }
  }
  totals[id.y * 64 + id.x] = total;
  workgroupBarrier();
  if (channel0 + id.x >= sizes.keyWidth) {
    return;
  }

  var passing = 0f;
  for (var n = 0u; n < 16; n++) {
    passing += products[id.x * 17 + n];
  }
  passing *= decayBetween(sumThrough(chunk, i32(chunk.tokens) - 1, channel), vec2f());
  // Of the tokens in front of these, and of those behind.
  var behind = 0f;
  for (var n = 0u; n < parts; n++) {
    if (n < id.y) {
      passing += totals[n * 64 + id.x].x;
    }
    if (n > id.y) {
      behind += totals[n * 64 + id.x].y;
    }
  }
  var gradients: array<f32, part>;
  for (var t = 0u; t < part; t++) {
    gradients[t] = passing;
    passing += stateWrites[t];
  }
  for (var n = 0u; n < part; n++) {
    let t = part - 1 - n;
    if (first + t < chunk.tokens) {
      behind -= writes[t];
      dLogDecay[at0 + (first + t) * width] = gradients[t] + select(behind + reads[t], behind, sizes.before != 0);
      behind += reads[t];
    }
  }
}
