// Gradient of the queries of a pass: dq_i = scale · Σ_j dS_ij k_j with shares P = e^{score − ln Σ e^score} and
// dS = P ⊙ (dO Vᵀ − dO · o).
@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let sequence = sequences[group.z];
  let head = group.y;
  let index = groups.x - 1 - group.x;
  let queries = tileOfQueries(sequence, index, head);
  if (queries.tokens == 0) {
    return;
  }
  let keyHead = head / (sizes.heads / sizes.keyHeads);
  let keys = seenBy(queries, keysOf(sequence, group.z, index / sizes.parts, keyHead));
  let lane = laneOf(local);
  let positions = queries.position + i32(4 * lane.y) + vec4i(0, 1, 2, 3);

  var sums: Sums;
  var normaliser: vec4f;
  var pull: vec4f;
  for (var r = 0u; r < 4; r++) {
    let row = queryRow(queries, 4 * lane.y + r);
    normaliser[r] = stats[row].x;
    pull[r] = stats[row].y;
    if (sizes.continues != 0) {
      for (var v = 0u; v < vectors; v++) {
        sums[4 * v + r] = dQAt(row, columnOf(lane, v));
      }
    }
  }

  for (var key = keys.first; key < keys.end; key += i32(tile)) {
    let operands = Operands(queries, keys, key);
    var slopes = multiply(ofQueries, ofKeys, operands, local);
    let at = keyPositions(keys, key + i32(4 * lane.x));
    for (var r = 0u; r < 4; r++) {
      let power = exp(sizes.scale * slopes[r] - normaliser[r]);
      slopes[r] = sizes.scale * select(vec4f(), power, sees(vec4i(positions[r]), at));
    }
    let dShares = multiply(ofGradients, ofValues, operands, local);
    for (var r = 0u; r < 4; r++) {
      slopes[r] *= dShares[r] - pull[r];
    }
    keepFactors(slopes, lane);
    accumulate(&sums, ofKeys, operands, u32(min(i32(tile), keys.end - key)), local);
  }

  for (var r = 0u; r < 4; r++) {
    if (4 * lane.y + r < queries.tokens) {
      let row = queryRow(queries, 4 * lane.y + r);
      for (var v = 0u; v < vectors; v++) {
        putDQ(row, columnOf(lane, v), sums[4 * v + r]);
      }
    }
  }
}
