// Gradient of one gate a token and head from what queries and keys have in the end: with S the state in front of a chunk and dS its
// gradient (passing.wgsl),
//
//     dg_t = Σ S ⊙ dS − Σ_{i < t} (q_i · dq_i − k_i · dk_i)        over the tokens of the chunk
//
// for readers q and writers k (`flowOf` an element of a row, all readers less all writers). Differences reach no further than a chunk. A workgroup has a chunk's head, each of its subgroups of 32 a row at a time.
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
    let row = (chunk.start + token) * sizes.heads + head;
    products[n] = dot(flowOf(row, row * quads + quad), vec4f(1));
  }
  for (var n = 0u; n < 8; n++) {
    let sum = subgroupAdd(select(0f, products[n], local % 32 < quads));
    if (local % 32 == 0) {
      rowSums[8 * subgroup + n] = sum;
    }
  }
  var part = 0f;
  if (chunk.index > 0) {
    // Pairs of columns, in turn those of every unit.
    var factors: vec4f;
    for (var unit = 0u; unit < 4; unit++) {
      factors[unit] = passingUnit(group.z, head, unit % (sizes.valueWidth / 32));
    }
    for (var pair = local; pair < sizes.keyWidth * sizes.valueWidth / 2; pair += 1024) {
      part += dot(factors, passingBetween(group.z, head, pair, 256));
    }
  } else if ((sizes.extra & hasInitial) != 0) {
    for (var pair = local; pair < sizes.keyWidth * sizes.valueWidth / 2; pair += 256) {
      part += passingFirst(chunk.sequence, head, 0, pair);
    }
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
