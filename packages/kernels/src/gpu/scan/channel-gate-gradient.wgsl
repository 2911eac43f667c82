// As token-gate-gradient.wgsl, of one gate for each key channel:
//
//     dg_t = rows of S ⊙ dS − Σ_{i < t} (q_i ⊙ dq_i − k_i ⊙ dk_i)        over the tokens of the chunk
//
// A workgroup has 64 channels of a chunk's head, an invocation 16 tokens of one.
const part = 16u;
const parts = 4u;

var<workgroup> totals: array<f32, 64 * parts>;
/** Of the state's rows, in four parts. */
var<workgroup> passing: array<f32, 64 * 4>;

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
    let token = min(first + t, chunk.tokens - 1);
    products[t] = flowOf((chunk.start + token) * sizes.heads + head, at0 + token * width);
  }
  var total = 0f;
  for (var t = 0u; t < part; t++) {
    total += products[t];
  }
  totals[local] = total;
  // An invocation has two of each 8 pairs of columns of a row of the state.
  let row = local / 4;
  var product = 0f;
  if (chunk.index > 0) {
    let fragments = sizes.valueWidth / 16;
    for (var n = 0u; n < fragments; n += 4) {
      let pair = ((group.x * 4 + row / 16) * fragments + n) * 128 + row % 16 * 8 + local % 4;
      let products = passingBetween(group.z, head, pair, 128) + passingBetween(group.z, head, pair + 4, 128);
      product += passingUnit(group.z, head, n / 2) * (products.x + products.y);
      product += passingUnit(group.z, head, n / 2 + 1) * (products.z + products.w);
    }
  } else if ((sizes.extra & hasInitial) != 0) {
    for (var pair = local % 4; pair < sizes.valueWidth / 2; pair += 4) {
      product += passingFirst(chunk.sequence, head, group.x * 64 + row, pair);
    }
  }
  passing[local] = product;
  workgroupBarrier();
  var sum = 0f;
  for (var n = 0u; n < 4; n++) {
    sum += passing[4 * id.x + n];
  }
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
