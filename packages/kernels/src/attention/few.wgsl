// What single queries read of a part of their keys, for decoding: an invocation scores a key, then sums up four columns of the values.
// Each part leaves its rows behind those of the part before; a single one adds to what earlier passes have left.
const invocations = 128u;

var<workgroup> scores: array<vec4f, invocations / 4>;
var<workgroup> partSums: array<vec4f, invocations>;

/** Score of a key that the query sees; `hidden` otherwise. */
fn scoreOf(queries: Queries, keys: Keys, key: i32) -> f32 {
  if (key >= keys.end || !sees(vec4i(queries.position), keyPositions(keys, key)).x) {
    return hidden;
  }
  let asked = queryRow(queries, 0);
  let row = keyRow(keys, key);
  var sum = vec4f();
  for (var column = 0u; column < sizes.headWidth; column += 4) {
    sum = fma(qAt(asked, column), kAt(row, column), sum);
  }
  return sizes.scale * dot(sum, vec4f(1));
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let sequence = sequences[group.z];
  let head = group.y;
  let part = group.x % sizes.parts;
  let position = sequence.position + i32(group.x / sizes.parts);
  let queries = queriesIn(sequence, position, position + 1, head);
  if (queries.tokens == 0) {
    return;
  }
  let keyHead = head / (sizes.heads / sizes.keyHeads);
  let block = i32(max(sizes.block, 1));
  let own = select(0u, u32(position / block - sequence.position / block), sizes.keyBlocks > 1);
  let seen = seenBy(queries, keysOf(sequence, group.z, own, keyHead));
  let perPart = (max(0, seen.end - seen.first) + i32(sizes.parts) - 1) / i32(sizes.parts);
  var keys = seen;
  keys.first = seen.first + i32(part) * perPart;
  keys.end = min(seen.end, keys.first + perPart);

  // Invocations that share a vector of columns take the keys in turn.
  let columns = (sizes.headWidth + 3) / 4;
  let stripes = max(1u, invocations / columns);
  let column = 4 * (local % columns);
  let stripe = local / columns;

  let result = part * sizes.rows * sizes.heads + queryRow(queries, 0);
  var most = f32(hidden);
  var whole = 0f;
  var sum = vec4f();
  if (sizes.continues != 0) {
    most = logSumExp[result];
    whole = select(0f, 1f, most > hidden);
    if (stripe == 0) {
      sum = oAt(result, column);
    }
  }
  for (var key = keys.first; key < keys.end; key += i32(invocations)) {
    let score = scoreOf(queries, keys, key + i32(local));
    workgroupBarrier();
    scores[local / 4][local % 4] = score;
    workgroupBarrier();
    var next = vec4f(most);
    for (var i = 0u; i < invocations / 4; i++) {
      next = max(next, scores[i]);
    }
    let highest = max(max(next.x, next.y), max(next.z, next.w));
    let factor = exp(most - highest);
    most = highest;
    sum *= factor;
    workgroupBarrier();
    scores[local / 4][local % 4] = select(0f, exp(score - highest), score > hidden);
    workgroupBarrier();
    var total = vec4f();
    for (var i = 0u; i < invocations / 4; i++) {
      total += scores[i];
    }
    whole = whole * factor + dot(total, vec4f(1));
    let count = min(invocations, u32(keys.end - key));
    if (stripe < stripes) {
      for (var i = stripe; i < count; i += stripes) {
        sum = fma(vec4f(scores[i / 4][i % 4]), vAt(keyRow(keys, key + i32(i)), column), sum);
      }
    }
  }

  partSums[local] = sum;
  workgroupBarrier();
  storageBarrier();
  if (local < columns) {
    sum = vec4f();
    for (var i = 0u; i < stripes; i++) {
      sum += partSums[i * columns + local];
    }
    let isSeen = whole > 0;
    putO(result, column, select(vec4f(), sum / whole, isSeen));
    if (local == 0) {
      logSumExp[result] = select(hidden, most + log(whole), isSeen);
    }
  }
}
