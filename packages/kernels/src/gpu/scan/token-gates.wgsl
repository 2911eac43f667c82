// Gradient of one gate a token and head from what queries and keys have in the end: with S the state in front of a chunk and dS its
// gradient (passing.wgsl),
//
//     dg_t = Σ S ⊙ dS − Σ_{i < t} (q_i · dq_i − k_i · dk_i)        over the tokens of the chunk
//
// for readers q and writers k. Differences reach no further than a chunk. A workgroup of 256 has a chunk's head.

/** q_i · dq_i − k_i · dk_i, all readers less all writers. */
var<workgroup> rowSums: array<f32, 64>;
var<workgroup> passingSums: array<f32, 8>;

/** Leaves the gates' gradients, once the invocation has left its part of `rowSums`. */
fn leaveGates(chunk: Chunk, chunkIndex: u32, head: u32, local: u32) {
  var part = 0f;
  if (chunk.index > 0) {
    // Pairs of columns, in turn those of every unit.
    var factors: vec4f;
    for (var unit = 0u; unit < 4; unit++) {
      factors[unit] = passingUnit(chunkIndex, head, unit % (sizes.valueWidth / 32));
    }
    for (var pair = local; pair < sizes.keyWidth * sizes.valueWidth / 2; pair += 1024) {
      part += dot(factors, passingBetween(chunkIndex, head, pair, 256));
    }
  } else if ((sizes.extra & hasInitial) != 0) {
    for (var pair = local; pair < sizes.keyWidth * sizes.valueWidth / 2; pair += 256) {
      part += passingFirst(chunk.sequence, head, 0, pair);
    }
  }
  let partSum = subgroupAdd(part);
  if (local % 32 == 0) {
    passingSums[local / 32] = partSum;
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
