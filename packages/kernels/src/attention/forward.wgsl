// What queries read of the keys of a pass, beside what earlier passes have left: 64 queries meet 64 keys at a time, and what
// was read so far is scaled down when a higher score comes (Milakov & Gimelshein 2018, "Online normalizer calculation for softmax").
const ofQueries = 0u;
const ofKeys = 1u;
const ofValues = 2u;

fn vectorOf(which: u32, operands: Operands, row: u32, column: u32) -> vec4f {
  if (which == ofQueries) {
    return qAt(queryRow(operands.queries, row), column);
  }
  let at = keyRow(operands.keys, operands.key + i32(row));
  if (which == ofKeys) {
    return kAt(at, column);
  }
  return vAt(at, column);
}

/** The highest of 4 rows over all invocations that have a part of them. */
fn highest(own: vec4f, lane: vec2u) -> vec4f {
  slices[lane.x][lane.y] = own;
  workgroupBarrier();
  var found = own;
  for (var x = 0u; x < quads; x++) {
    found = max(found, slices[x][lane.y]);
  }
  workgroupBarrier();
  return found;
}

/** Their sum. */
fn total(own: vec4f, lane: vec2u) -> vec4f {
  slices[lane.x][lane.y] = own;
  workgroupBarrier();
  var found = vec4f();
  for (var x = 0u; x < quads; x++) {
    found += slices[x][lane.y];
  }
  workgroupBarrier();
  return found;
}

@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let sequence = sequences[group.z];
  let head = group.y;
  // The last queries see the most keys, so they come first.
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
  var most = vec4f(hidden);
  var sum = vec4f();
  if (sizes.continues != 0) {
    for (var r = 0u; r < 4; r++) {
      let row = queryRow(queries, 4 * lane.y + r);
      most[r] = logSumExp[row];
      for (var v = 0u; v < vectors; v++) {
        sums[4 * v + r] = oAt(row, columnOf(lane, v));
      }
    }
    sum = select(vec4f(), vec4f(1), (most > vec4f(hidden)) & vec4<bool>(lane.x == 0));
  }

  for (var key = keys.first; key < keys.end; key += i32(tile)) {
    let operands = Operands(queries, keys, key);
    var scores = multiply(ofQueries, ofKeys, operands, local);
    let at = keyPositions(keys, key + i32(4 * lane.x));
    var next = most;
    for (var r = 0u; r < 4; r++) {
      scores[r] = select(vec4f(hidden), sizes.scale * scores[r], sees(vec4i(positions[r]), at));
      next[r] = max(next[r], max(max(scores[r].x, scores[r].y), max(scores[r].z, scores[r].w)));
    }
    next = highest(next, lane);
    let factor = exp(most - next);
    most = next;
    sum *= factor;
    for (var r = 0u; r < 4; r++) {
      scores[r] = select(vec4f(), exp(scores[r] - next[r]), scores[r] > vec4f(hidden));
      sum[r] += dot(scores[r], vec4f(1));
      for (var v = 0u; v < vectors; v++) {
        sums[4 * v + r] *= factor[r];
      }
    }
    keepFactors(scores, lane);
    accumulate(&sums, ofValues, operands, u32(min(i32(tile), keys.end - key)), local);
  }

  sum = total(sum, lane);
  // Everybody has read what is replaced now.
  storageBarrier();
  for (var r = 0u; r < 4; r++) {
    if (4 * lane.y + r < queries.tokens) {
      let row = queryRow(queries, 4 * lane.y + r);
      let isSeen = sum[r] > 0;
      for (var v = 0u; v < vectors; v++) {
        putO(row, columnOf(lane, v), select(vec4f(), sums[4 * v + r] / sum[r], isSeen));
      }
      if (lane.x == 0) {
        logSumExp[row] = select(hidden, most[r] + log(sum[r]), isSeen);
      }
    }
  }
}
