// Decayed scores with one gate for each key channel: P_ij = Σ_c q_ic k_jc e^{ρ_ic − b_jc} for j < i, and Σ_c q_ic u_c k_ic on the
// diagonal. A workgroup makes 16 rows i of one chunk and head. With r the running sum in front of these rows,
// writers before them take e^{ρ_i − r} e^{r − b_j}, a plain product; pairs within the rows get an exponential each.
const part = 16u;
/** Vectors from one row to the next in workgroup memory: not a multiple of 8, for the banks. */
const stride = 5u;

var<workgroup> queries: array<vec4f, part * stride>;
var<workgroup> decayedQueries: array<vec4f, part * stride>;
var<workgroup> keys: array<vec4f, 64 * stride>;
var<workgroup> queryWholes: array<vec4f, part * stride>;
var<workgroup> queryFractions: array<vec4f, part * stride>;
var<workgroup> keyWholes: array<vec4f, part * stride>;
var<workgroup> keyFractions: array<vec4f, part * stride>;
var<workgroup> bonuses: array<vec4f, 4>;

struct Sums {
  wholes: vec4f,
  fractions: vec4f,
}

/** b of 4 channels; 0 in front of the chunk. */
fn sumsOf(chunk: Chunk, head: u32, token: i32, channel: u32) -> Sums {
  let row = (chunk.start + u32(max(token, 0))) * sizes.heads + head;
  let isKnown = vec4<bool>(token >= 0);
  let low = select(vec4f(), sumPairsAt(row, 2 * channel), isKnown);
  let high = select(vec4f(), sumPairsAt(row, 2 * channel + 4), isKnown);
  return Sums(vec4f(low.xz, high.xz), vec4f(low.yw, high.yw));
}

fn decay4(a: Sums, b: Sums) -> vec4f {
  return exp(-abs(a.wholes - b.wholes + (a.fractions - b.fractions)));
}

/** Products of 4 decayed queries, y + 4r of the rows, with one earlier key. */
fn earlierProducts(y: u32, vector: u32, key: vec4f) -> vec4f {
  let at = y * stride + vector;
  return vec4f(
    dot(decayedQueries[at], key),
    dot(decayedQueries[at + 4 * stride], key),
    dot(decayedQueries[at + 8 * stride], key),
    dot(decayedQueries[at + 12 * stride], key),
  );
}

/** A key of the same 16 rows. */
struct OwnKey {
  row: u32,
  values: vec4f,
  sums: Sums,
  bonus: vec4f,
}

/** Of one query and one key of the same 16 rows; of no meaning where the key is the later. */
fn ownProduct(i: u32, vector: u32, key: OwnKey) -> f32 {
  let at = i * stride + vector;
  let decay = decay4(Sums(queryWholes[at], queryFractions[at]), key.sums);
  return dot(queries[at] * key.values, select(decay, key.bonus, vec4<bool>(key.row == i)));
}

/** A key in front of the rows, decayed to them. */
fn keepEarlier(chunk: Chunk, head: u32, token: u32, vector: u32, channel: u32, border: Sums) {
  let key = kAt((chunk.start + token) * sizes.heads + head, channel);
  keys[token * stride + vector] = key * decay4(border, sumsOf(chunk, head, i32(token), channel));
}

fn finish(at: u32, column: u32, sums: vec4f) {
  scores[at + column] = sums.x;
  scores[at + 4 * 64 + column] = sums.y;
  scores[at + 8 * 64 + column] = sums.z;
  scores[at + 12 * 64 + column] = sums.w;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  let first = group.x * part;
  if (first >= chunk.tokens) {
    return;
  }
  let head = group.y;
  // An invocation brings 4 channels of one row of each 16, and sums 4 rows i = y + 4r by one column of each 16.
  let row = local / 4;
  let vector = local % 4;
  let lane = vec2u(local % 16, local / 16);
  var earlier0 = vec4f();
  var earlier1 = vec4f();
  var earlier2 = vec4f();
  var own = vec4f();
  for (var channel0 = 0u; channel0 < sizes.keyWidth; channel0 += 16) {
    let channel = channel0 + 4 * vector;
    let border = sumsOf(chunk, head, i32(first) - 1, channel);
    workgroupBarrier();
    {
      let token = min(first + row, chunk.tokens - 1);
      let at = row * stride + vector;
      let query = qAt((chunk.start + token) * sizes.heads + head, channel);
      let toQuery = sumsOf(chunk, head, select(i32(token), i32(token) - 1, sizes.before != 0), channel);
      let toKey = sumsOf(chunk, head, i32(token), channel);
      queries[at] = query;
      decayedQueries[at] = query * decay4(toQuery, border);
      queryWholes[at] = toQuery.wholes;
      queryFractions[at] = toQuery.fractions;
      keyWholes[at] = toKey.wholes;
      keyFractions[at] = toKey.fractions;
      keys[(first + row) * stride + vector] = kAt((chunk.start + token) * sizes.heads + head, channel);
    }
    if (group.x > 0) {
      keepEarlier(chunk, head, row, vector, channel, border);
    }
    if (group.x > 1) {
      keepEarlier(chunk, head, row + part, vector, channel, border);
    }
    if (group.x > 2) {
      keepEarlier(chunk, head, row + 2 * part, vector, channel, border);
    }
    if (local < 4) {
      bonuses[local] = vec4f(1);
      if (sizes.before != 0) {
        bonuses[local] = bonusAt(head, channel0 + 4 * local);
      }
    }
    workgroupBarrier();
    for (var v = 0u; v < 4; v++) {
      let key = lane.x * stride + v;
      if (group.x > 0) {
        earlier0 += earlierProducts(lane.y, v, keys[key]);
      }
      if (group.x > 1) {
        earlier1 += earlierProducts(lane.y, v, keys[key + part * stride]);
      }
      if (group.x > 2) {
        earlier2 += earlierProducts(lane.y, v, keys[key + 2 * part * stride]);
      }
      let other = lane.x * stride + v;
      let ownKey = OwnKey(
        lane.x,
        keys[first * stride + key],
        Sums(keyWholes[other], keyFractions[other]),
        bonuses[v],
      );
      own += vec4f(
        ownProduct(lane.y, v, ownKey),
        ownProduct(lane.y + 4, v, ownKey),
        ownProduct(lane.y + 8, v, ownKey),
        ownProduct(lane.y + 12, v, ownKey),
      );
    }
  }
  own = select(vec4f(), own, vec4u(lane.x) <= lane.y + vec4u(0, 4, 8, 12));
  let at = ((group.z * sizes.heads + head) * 64 + first + lane.y) * 64;
  if (group.x > 0) {
    finish(at, lane.x, earlier0);
  }
  if (group.x > 1) {
    finish(at, lane.x + part, earlier1);
  }
  if (group.x > 2) {
    finish(at, lane.x + 2 * part, earlier2);
  }
  finish(at, lane.x + first, own);
}
