// Decayed scores with one gate for each key channel, P_ij = Σ_c x_ic y_jc e^{b_ic − b_jc} for j ≤ i, for both kinds of readers x
// and one kind of writers y: two planes (planes.wgsl). A workgroup makes 16 rows i of one chunk and head. With r the running
// sum in front of these rows, writers before them take e^{b_i − r} e^{r − b_j}, a plain product; pairs within the rows get an
// exponential each, which both readers share.
override writer: u32;

const part = 16u;
/** Vectors from one row to the next in workgroup memory: not a multiple of 8, for the banks. */
const stride = 5u;

var<workgroup> readers0: array<vec4f, part * stride>;
var<workgroup> readers1: array<vec4f, part * stride>;
var<workgroup> decayedReaders0: array<vec4f, part * stride>;
var<workgroup> decayedReaders1: array<vec4f, part * stride>;
var<workgroup> wholes: array<vec4f, part * stride>;
var<workgroup> fractions: array<vec4f, part * stride>;
var<workgroup> keys: array<vec4f, 64 * stride>;

struct Sums {
  wholes: vec4f,
  fractions: vec4f,
}

/** b of 4 channels; 0 in front of the chunk. */
fn sumsOf(chunk: Chunk, head: u32, token: i32, channel: u32) -> Sums {
  if (token < 0) {
    return Sums();
  }
  let row = (chunk.start + u32(token)) * sizes.heads + head;
  let low = sumPairsAt(row, 2 * channel);
  let high = sumPairsAt(row, 2 * channel + 4);
  return Sums(vec4f(low.xz, high.xz), vec4f(low.yw, high.yw));
}

fn decay4(a: Sums, b: Sums) -> vec4f {
  return exp(-abs(a.wholes - b.wholes + (a.fractions - b.fractions)));
}

/** Products of 4 decayed readers, y + 4r of the rows, with one earlier key. */
fn earlierProducts0(at: u32, key: vec4f) -> vec4f {
  return vec4f(
    dot(decayedReaders0[at], key),
    dot(decayedReaders0[at + 4 * stride], key),
    dot(decayedReaders0[at + 8 * stride], key),
    dot(decayedReaders0[at + 12 * stride], key),
  );
}

fn earlierProducts1(at: u32, key: vec4f) -> vec4f {
  return vec4f(
    dot(decayedReaders1[at], key),
    dot(decayedReaders1[at + 4 * stride], key),
    dot(decayedReaders1[at + 8 * stride], key),
    dot(decayedReaders1[at + 12 * stride], key),
  );
}

/** Of both readers of one row and one key of the same 16 rows; of no meaning where the key is the later. */
fn ownProducts(i: u32, vector: u32, key: vec4f, keySums: Sums) -> vec2f {
  let at = i * stride + vector;
  let decayed = key * decay4(Sums(wholes[at], fractions[at]), keySums);
  return vec2f(dot(readers0[at], decayed), dot(readers1[at], decayed));
}

/** A key in front of the rows, decayed to them. */
fn keepEarlier(chunk: Chunk, head: u32, token: u32, vector: u32, channel: u32, border: Sums) {
  let key = yAt((chunk.start + token) * sizes.heads + head, channel);
  keys[token * stride + vector] = key * decay4(border, sumsOf(chunk, head, i32(token), channel));
}

fn finish(row: u32, column: u32, sums: vec4f) {
  let at = row * 64 + column;
  scores[at] = sums.x;
  scores[at + 4 * 64] = sums.y;
  scores[at + 8 * 64] = sums.z;
  scores[at + 12 * 64] = sums.w;
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let chunk = chunks[group.z];
  let first = group.x * part;
  if (first >= chunk.tokens) {
    return;
  }
  let head = group.y;
  let before = sizes.before;
  // An invocation brings 4 channels of one row of each 16, and sums 4 rows i = y + 4r by one column of each 16.
  let row = local / 4;
  let vector = local % 4;
  let lane = vec2u(local % 16, local / 16);
  var earlier00 = vec4f();
  var earlier01 = vec4f();
  var earlier02 = vec4f();
  var earlier10 = vec4f();
  var earlier11 = vec4f();
  var earlier12 = vec4f();
  var own0 = vec4f();
  var own1 = vec4f();
  for (var channel0 = 0u; channel0 < sizes.keyWidth; channel0 += 16) {
    let channel = channel0 + 4 * vector;
    let border = sumsOf(chunk, head, i32(first) - 1, channel);
    workgroupBarrier();
    {
      let token = min(first + row, chunk.tokens - 1);
      let at = row * stride + vector;
      let sums = sumsOf(chunk, head, i32(token), channel);
      let decay = decay4(sums, border);
      let reader0 = x0At((chunk.start + token) * sizes.heads + head, channel);
      let seen = min(token + before, chunk.tokens - 1);
      let recalled = x1At((chunk.start + seen) * sizes.heads + head, channel);
      let reader1 = select(vec4f(), recalled, token + before < chunk.tokens);
      readers0[at] = reader0;
      readers1[at] = reader1;
      decayedReaders0[at] = reader0 * decay;
      decayedReaders1[at] = reader1 * decay;
      wholes[at] = sums.wholes;
      fractions[at] = sums.fractions;
      keys[(first + row) * stride + vector] = yAt((chunk.start + token) * sizes.heads + head, channel);
    }
    if (first > 0) {
      keepEarlier(chunk, head, row, vector, channel, border);
    }
    if (first > part) {
      keepEarlier(chunk, head, row + part, vector, channel, border);
    }
    if (first > 2 * part) {
      keepEarlier(chunk, head, row + 2 * part, vector, channel, border);
    }
    workgroupBarrier();
    for (var v = 0u; v < 4; v++) {
      let key = lane.x * stride + v;
      let rows = lane.y * stride + v;
      if (first > 0) {
        earlier00 += earlierProducts0(rows, keys[key]);
        earlier10 += earlierProducts1(rows, keys[key]);
      }
      if (first > part) {
        earlier01 += earlierProducts0(rows, keys[key + part * stride]);
        earlier11 += earlierProducts1(rows, keys[key + part * stride]);
      }
      if (first > 2 * part) {
        earlier02 += earlierProducts0(rows, keys[key + 2 * part * stride]);
        earlier12 += earlierProducts1(rows, keys[key + 2 * part * stride]);
      }
      let ownKey = keys[first * stride + key];
      let ownSums = Sums(wholes[key], fractions[key]);
      let a = ownProducts(lane.y, v, ownKey, ownSums);
      let b = ownProducts(lane.y + 4, v, ownKey, ownSums);
      let c = ownProducts(lane.y + 8, v, ownKey, ownSums);
      let d = ownProducts(lane.y + 12, v, ownKey, ownSums);
      own0 += vec4f(a.x, b.x, c.x, d.x);
      own1 += vec4f(a.y, b.y, c.y, d.y);
    }
  }
  let isMet = vec4u(lane.x) <= lane.y + vec4u(0, 4, 8, 12);
  own0 = select(vec4f(), own0, isMet);
  own1 = select(vec4f(), own1, isMet);
  let row0 = rowOfPlane(2 * writer, groups.z, group.z, head, first + lane.y);
  let row1 = rowOfPlane(2 * writer + 1, groups.z, group.z, head, first + lane.y);
  if (first > 0) {
    finish(row0, lane.x, earlier00);
    finish(row1, lane.x, earlier10);
  }
  if (first > part) {
    finish(row0, lane.x + part, earlier01);
    finish(row1, lane.x + part, earlier11);
  }
  if (first > 2 * part) {
    finish(row0, lane.x + 2 * part, earlier02);
    finish(row1, lane.x + 2 * part, earlier12);
  }
  finish(row0, lane.x + first, own0);
  finish(row1, lane.x + first, own1);
}
