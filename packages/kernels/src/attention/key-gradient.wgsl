// Gradients of the keys and values of a pass: dv_j = Σ_i P_ij dO_i, dk_j = scale · Σ_i dS_ij q_i, over all queries that see the key,
// of all heads that share it; P and dS as in query-gradient.wgsl. The tile's rows are keys here, and its columns queries.

/** ln Σ e^score (0) or dO · o (1) of 4 queries. */
fn statsOf(queries: Queries, token: u32, which: u32) -> vec4f {
  return vec4f(
    stats[queryRow(queries, token)][which],
    stats[queryRow(queries, token + 1)][which],
    stats[queryRow(queries, token + 2)][which],
    stats[queryRow(queries, token + 3)][which],
  );
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let sequence = sequences[group.z];
  let keyHead = group.y;
  let lane = laneOf(local);

  let isInBlocks = sizes.place == keysInBlocks;
  let tilesPerBlock = (sizes.keys + tile - 1) / tile;
  let block = select(0u, group.x / tilesPerBlock, isInBlocks);
  let key = i32(select(group.x, group.x % tilesPerBlock, isInBlocks) * tile);
  let keys = keysOf(sequence, group.z, block, keyHead);
  if (key >= keys.end) {
    return;
  }
  let last = min(key + i32(tile), keys.end) - 1;
  var start = keys.position + key + i32(sizes.nearest);
  var end = keys.position + last + i32(sizes.farthest);
  if (isInBlocks) {
    start = originOf(sequence) + i32(block * sizes.block);
    end = select(sequence.position + sequence.length, start + i32(sizes.block), sizes.block > 0);
  }
  let readers = queriesIn(sequence, start, end, 0);
  let positions = keyPositions(keys, key + i32(4 * lane.y));

  var dKeys: Sums;
  var dValues: Sums;
  if (sizes.continues != 0) {
    for (var r = 0u; r < 4; r++) {
      for (var v = 0u; v < vectors; v++) {
        dValues[4 * v + r] = dVAt(keyRow(keys, key + i32(4 * lane.y + r)), columnOf(lane, v));
      }
    }
  }

  let perKey = sizes.heads / sizes.keyHeads;
  for (var h = 0u; h < perKey; h++) {
    for (var first = 0u; first < readers.tokens; first += tile) {
      let tokens = min(tile, readers.tokens - first);
      let queries = Queries(readers.row + first, tokens, readers.position + i32(first), keyHead * perKey + h);
      let operands = Operands(queries, keys, key);
      var shares = multiply(ofKeys, ofQueries, operands, local);
      let token = 4 * lane.x + vec4u(0, 1, 2, 3);
      let at = select(vec4i(-1), queries.position + vec4i(token), token < vec4u(tokens));
      let normaliser = statsOf(queries, token.x, 0);
      for (var r = 0u; r < 4; r++) {
        let power = exp(sizes.scale * shares[r] - normaliser);
        shares[r] = select(vec4f(), power, sees(at, vec4i(positions[r])));
      }
      var slopes = multiply(ofValues, ofGradients, operands, local);
      let pull = statsOf(queries, token.x, 1);
      for (var r = 0u; r < 4; r++) {
        slopes[r] = sizes.scale * shares[r] * (slopes[r] - pull);
      }
      keepFactors(shares, lane);
      accumulate(&dValues, ofGradients, operands, tokens, local);
      keepFactors(slopes, lane);
      accumulate(&dKeys, ofQueries, operands, tokens, local);
    }
  }

  for (var r = 0u; r < 4; r++) {
    let at = key + i32(4 * lane.y + r);
    if (at < keys.end) {
      for (var v = 0u; v < vectors; v++) {
        putDK(keyRow(keys, at), columnOf(lane, v), dKeys[4 * v + r]);
        putDV(keyRow(keys, at), columnOf(lane, v), dValues[4 * v + r]);
      }
    }
  }
}
