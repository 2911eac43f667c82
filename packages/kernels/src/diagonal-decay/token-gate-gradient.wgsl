// Gradient of one gate a token and head from what queries and keys have in the end: with S the state in front of a chunk and dS its
// gradient (`passing`),
//
//     dg_t = Σ S ⊙ dS − Σ_{i < t} (q_i · dq_i − k_i · dk_i)        over the tokens of the chunk
//
// Differences reach no further than a chunk. A workgroup has a chunk's head, each of its subgroups of 32 a row at a time.
var<workgroup> rowSums: array<f32, 64>;
var<workgroup> passingSums: array<f32, 8>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let subgroup = local / 32;
  let quads = sizes.keyWidth / 4;
  let quad = min(local % 32, quads - 1);
  var products: array<f32, 8>;
  for (var n = 0u; n < 8; n++) {
    let token = min(8 * subgroup + n, chunk.tokens - 1);
    let at = ((chunk.start + token) * sizes.heads + head) * quads + quad;
    products[n] = dot(q[at], dQ[at]) - dot(k[at], dK[at]);
  }
  for (var n = 0u; n < 8; n++) {
    let sum = subgroupAdd(select(0f, products[n], local % 32 < quads));
    if (local % 32 == 0) {
      rowSums[8 * subgroup + n] = sum;
    }
  }
  let size = sizes.keyWidth * sizes.valueWidth / 64;
  let at0 = (group.z * sizes.heads + head) * size;
  var part = 0f;
  for (var n = local; n < size; n += 256) {
    part += dot(passing[at0 + n], vec4f(1));
  }
  let partSum = subgroupAdd(part);
  if (local % 32 == 0) {
    passingSums[subgroup] = partSum;
  }
  workgroupBarrier();
  if (local < chunk.tokens) {
    var sum = 0f;
    for (var n = 0u; n < 8; n++) {
      sum += passingSums[n];
    }
    for (var n = 0u; n < local; n++) {
      sum -= rowSums[n];
    }
    dLogDecay[(chunk.start + local) * sizes.heads + head] = sum;
  }
}
