// Gradient of one gate a token and head. A gate t gets what passes through it: from the chunk's entering state to reads and
// recalls at or behind it, from writes before it to the leaving state, from the entering to the leaving state, and within the
// chunk Σ_{i ≥ t > j} E_ij of the pairs' E = P ⊙ dP ⊙ e^{b_i − b_j}, of all planes. Nothing is a difference of large sums.
//
// `finishRows` is for what a scan has left to do with the same rows.

var<workgroup> kept: array<f32, 64 * 64>;

/** Of what a token's key has to do with the state: of q, a, b, k. */
fn dotOf(chunk: Chunk, head: u32, token: u32, which: u32) -> f32 {
  // The columns that the dots were summed in.
  let tiles = (sizes.keyWidth + 63) / 64;
  var sum = 0f;
  if (token < chunk.tokens) {
    for (var n = 0u; n < tiles; n++) {
      sum += dots[((which * tiles + n) * sizes.rows + chunk.start + token) * sizes.heads + head];
    }
  }
  return sum;
}

/** P ⊙ dP of one pair, of both kinds of readers. */
fn pairOf(writer: u32, chunks: u32, chunkIndex: u32, head: u32, row: u32, column: u32) -> f32 {
  let query = rowOfPlane(2 * writer, chunks, chunkIndex, head, row) * 64 + column;
  let recall = rowOfPlane(2 * writer + 1, chunks, chunkIndex, head, row) * 64 + column;
  return sizes.scoreScale * scores[query] * dScores[query] + scores[recall] * dScores[recall];
}

@compute @workgroup_size(256)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let lane = group.z * sizes.heads + head;
  let token = local % 64;

  let vectors = (sizes.valueWidth + 3) / 4;
  var product = 0f;
  for (var n = local; n < sizes.keyWidth * vectors; n += 256) {
    let row = lane * sizes.keyWidth + n / vectors;
    let column = 4 * (n % vectors);
    product += dot(statesAt(row, column), dStatesAt(row, column));
  }
  kept[local] = product;
  if (local < 64) {
    // What a recall key sees is decayed through the token before, where it sees the state before its own decay.
    kept[256 + local] = dotOf(chunk, head, token, 0) + dotOf(chunk, head, token + sizes.before, 1);
  } else if (local < 128) {
    var sum = dotOf(chunk, head, token, 2);
    if (writers == 2) {
      sum += dotOf(chunk, head, token, 3);
    }
    kept[256 + local] = sum;
  }
  workgroupBarrier();
  var sum = 0f;
  if (local < 64) {
    for (var n = 0u; n < 256; n++) {
      sum += kept[n];
    }
    sum *= decayBetween(sumThrough(chunk, i32(chunk.tokens) - 1, head), vec2f());
    for (var n = 0u; n < 64; n++) {
      sum += kept[select(320 + n, 256 + n, n >= local)];
    }
  }
  workgroupBarrier();

  // E by reads i and writers j.
  let written = sumThrough(chunk, i32(min(token, chunk.tokens - 1)), head);
  for (var i = local / 64; i < 64; i += 4) {
    var pair = 0f;
    if (token < i && i < chunk.tokens) {
      pair = pairOf(0, groups.z, group.z, head, i, token);
      if (writers == 2) {
        pair += pairOf(1, groups.z, group.z, head, i, token);
      }
      pair *= decayBetween(sumThrough(chunk, i32(i), head), written);
    }
    kept[i * 64 + token] = pair;
  }
  workgroupBarrier();
  // Summed over the reads from the last one down to each row.
  if (local < 64) {
    var reads = 0f;
    for (var n = 0u; n < 64; n++) {
      reads += kept[(63 - n) * 64 + local];
      kept[(63 - n) * 64 + local] = reads;
    }
  }
  workgroupBarrier();
  if (local < chunk.tokens) {
    var within = 0f;
    for (var n = 0u; n < 64; n++) {
      // Each invocation begins elsewhere, for the banks.
      let writer = (n + local) % 64;
      if (writer < local) {
        within += kept[local * 64 + writer];
      }
    }
    dLogDecay[(chunk.start + local) * sizes.heads + head] = sum + within;
  }
  finishRows(chunk, head, local);
}
