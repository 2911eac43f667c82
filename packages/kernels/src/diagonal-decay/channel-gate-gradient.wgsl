// As token-gate-gradient.wgsl, of one gate for each key channel:
//
//     dg_t = rows of S ⊙ dS − Σ_{i < t} (q_i ⊙ dq_i − k_i ⊙ dk_i)        over the tokens of the chunk
//
// A workgroup has 64 channels of a chunk's head, an invocation 16 tokens of one.
const part = 16u;
const parts = 4u;

var<workgroup> totals: array<f32, 64 * parts>;

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
  let c = group.x * 64 + id.x;
  let width = sizes.heads * sizes.keyWidth;
  let at0 = chunk.start * width + head * sizes.keyWidth + c;
  let first = id.y * part;
  var products: array<f32, part>;
  for (var t = 0u; t < part; t++) {
    let at = at0 + min(first + t, chunk.tokens - 1) * width;
    products[t] = q[at] * dQ[at] - k[at] * dK[at];
  }
  var total = 0f;
  for (var t = 0u; t < part; t++) {
    total += products[t];
  }
  totals[local] = total;
  // One value of each 16 of the state's columns.
  let columns = sizes.valueWidth / 16;
  let passing0 = (group.z * sizes.heads + head) * columns * sizes.keyWidth + c;
  var sum = 0f;
  for (var n = 0u; n < columns; n++) {
    sum += passing[passing0 + n * sizes.keyWidth];
  }
  workgroupBarrier();
  for (var n = 0u; n < parts; n++) {
    sum -= select(0f, totals[n * 64 + id.x], n < id.y);
  }
  for (var t = 0u; t < part; t++) {
    if (first + t < chunk.tokens) {
      dLogDecay[at0 + (first + t) * width] = sum;
    }
    sum -= products[t];
  }
}
