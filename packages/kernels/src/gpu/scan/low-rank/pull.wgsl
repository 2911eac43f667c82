// Gradient of a key with one gate for each key channel, from what z holds of the state: of a reader in row i of the planes
// (planes.wgsl), or of a writer j (`toEnd`)
//
//     dx_i = z_i ⊙ e^{b_i} + Σ_planes Σ_{j ≤ i} P_ij y_j ⊙ e^{b_i − b_j}
//     dx_j = z_j ⊙ e^{b_C − b_j} + Σ_planes Σ_{i ≥ j} P_ij y_i ⊙ e^{b_i − b_j}
//
// for P the scores' gradient. An invocation has 16 rows of one channel in registers. With r the running sum at the border of
// these rows towards the others, the decay to any of those is e^{b_i − r} e^{r − b_j}; pairs within the 16 get an
// exponential each.
//
// `gates` gets what the gate's gradient is made of: x ⊙ dx of readers (all but what takes no decay), of writers by way of the
// scores, of writers by way of the state. The second kind of readers and of writers adds to what the first has left. `extra` is
// the role that x has.
const part = 16u;
const parts = 4u;

/** P by [other row, quad of rows]. */
var<workgroup> pairs: array<vec4f, 1024>;

fn sumOf(chunk: Chunk, row: u32, channel: u32) -> vec2f {
  return sumThrough(chunk, i32(min(row, chunk.tokens - 1)), channel);
}

/** Running sums of 4 rows. */
struct Sums {
  wholes: vec4f,
  fractions: vec4f,
}

fn sumsOf(chunk: Chunk, row: u32, channel: u32) -> Sums {
  let a = sumOf(chunk, row, channel);
  let b = sumOf(chunk, row + 1, channel);
  let c = sumOf(chunk, row + 2, channel);
  let d = sumOf(chunk, row + 3, channel);
  return Sums(vec4f(a.x, b.x, c.x, d.x), vec4f(a.y, b.y, c.y, d.y));
}

fn decays(near: Sums, other: vec2f) -> vec4f {
  return exp(-abs(near.wholes - other.x + (near.fractions - other.y)));
}

/** The decays of 4 rows from `row` on to another one, 0 where that is not on the side that the gradient comes from. */
fn decaysWithin(near: Sums, row: u32, other: u32, at: vec2f, toEnd: bool) -> vec4f {
  let rows = row + vec4u(0, 1, 2, 3);
  let counts = select(rows > vec4u(other), rows < vec4u(other), vec4<bool>(toEnd));
  return select(vec4f(), decays(near, at), counts);
}

/** Of an invocation's rows: running sums, what has been added up, and what the rows beyond have given before the decay to them. */
var<private> near0: Sums;
var<private> near1: Sums;
var<private> near2: Sums;
var<private> near3: Sums;
var<private> sum0: vec4f;
var<private> sum1: vec4f;
var<private> sum2: vec4f;
var<private> sum3: vec4f;
var<private> far0: vec4f;
var<private> far1: vec4f;
var<private> far2: vec4f;
var<private> far3: vec4f;

fn addFar(other: u32, quad: u32, value: f32) {
  let at = other * 16 + quad;
  far0 += value * pairs[at];
  far1 += value * pairs[at + 1];
  far2 += value * pairs[at + 2];
  far3 += value * pairs[at + 3];
}

fn addWithin(other: u32, first: u32, value: f32, sum: vec2f, toEnd: bool) {
  let at = other * 16 + first / 4;
  sum0 += value * pairs[at] * decaysWithin(near0, first, other, sum, toEnd);
  sum1 += value * pairs[at + 1] * decaysWithin(near1, first + 4, other, sum, toEnd);
  sum2 += value * pairs[at + 2] * decaysWithin(near2, first + 8, other, sum, toEnd);
  sum3 += value * pairs[at + 3] * decaysWithin(near3, first + 12, other, sum, toEnd);
}

/** y of 4 rows that x is scored with, from `row` on: of readers in these rows, or of writers. */
fn othersAt(term: u32, plane: u32, chunk: Chunk, row: u32, channel: u32, toEnd: bool) -> vec4f {
  let tokens = row + select(0u, rowsBefore(plane), toEnd) + vec4u(0, 1, 2, 3);
  let at = (chunk.start + min(tokens, vec4u(chunk.tokens - 1))) * sizes.heads * sizes.keyWidth + channel;
  var values: vec4f;
  if (term == 1) {
    values = vec4f(y1[at.x], y1[at.y], y1[at.z], y1[at.w]);
  } else {
    values = vec4f(y0[at.x], y0[at.y], y0[at.z], y0[at.w]);
  }
  let scale = select(sizes.scoreScale, 1f, isRecall(plane));
  return select(vec4f(), scale * values, tokens < vec4u(chunk.tokens));
}

/** Brings a plane of the scores' gradient, its rows along the axis that x is not on. */
fn keepPairs(plane: u32, chunks: u32, chunkIndex: u32, head: u32, local: u32, toEnd: bool) {
  let row = local / 16;
  let quad = local % 16;
  let source = rowOfPlane(plane, chunks, chunkIndex, head, 4 * row) * 16 + quad;
  let block = mat4x4f(dScores[source], dScores[source + 16], dScores[source + 32], dScores[source + 48]);
  let turned = transpose(block);
  let place = select(4 * quad * 16 + row, 4 * row * 16 + quad, toEnd);
  workgroupBarrier();
  pairs[place] = select(turned[0], block[0], toEnd);
  pairs[place + 16] = select(turned[1], block[1], toEnd);
  pairs[place + 32] = select(turned[2], block[2], toEnd);
  pairs[place + 48] = select(turned[3], block[3], toEnd);
  workgroupBarrier();
}

/** P of a row with itself. */
fn ownPairs(row: u32) -> vec4f {
  let quad = row / 4;
  return vec4f(
    pairs[row * 16 + quad].x,
    pairs[(row + 1) * 16 + quad].y,
    pairs[(row + 2) * 16 + quad].z,
    pairs[(row + 3) * 16 + quad].w,
  );
}

/** Puts the parts of a row's gradient together. */
fn finish(chunk: Chunk, row: u32, channel: u32, toState: f32, fromScores: f32, own: f32, toEnd: bool) {
  if (row >= chunk.tokens) {
    return;
  }
  let width = sizes.heads * sizes.keyWidth;
  let size = sizes.rows * width;
  let gateAt = (chunk.start + row) * width + channel;
  let token = row + select(rowsBefore(planesOf(sizes.extra).x), 0u, toEnd);
  if (token >= chunk.tokens) {
    return;
  }
  let at = (chunk.start + token) * width + channel;
  let fromState = z[at] * toState;
  z[at] = fromState + fromScores + own;
  let x = weight[at];
  switch (sizes.extra) {
    case 0: {
      gates[gateAt] = x * (fromState + fromScores);
    }
    case 1: {
      gates[gateAt] += x * (fromState + fromScores);
    }
    case 2: {
      gates[size + gateAt] = x * fromScores;
      gates[2 * size + gateAt] = x * fromState;
    }
    default: {
      gates[size + gateAt] += x * fromScores;
      gates[2 * size + gateAt] += x * fromState;
    }
  }
}

fn finishFour(chunk: Chunk, row: u32, channel: u32, toState: vec4f, fromScores: vec4f, own: vec4f, toEnd: bool) {
  finish(chunk, row, channel, toState.x, fromScores.x, own.x, toEnd);
  finish(chunk, row + 1, channel, toState.y, fromScores.y, own.y, toEnd);
  finish(chunk, row + 2, channel, toState.z, fromScores.z, own.z, toEnd);
  finish(chunk, row + 3, channel, toState.w, fromScores.w, own.w, toEnd);
}

@compute @workgroup_size(64, parts)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let toEnd = sizes.toEnd != 0;
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let c = group.x * 64 + id.x;
  let first = id.y * part;
  let isThere = c < sizes.keyWidth && first < chunk.tokens;
  let channel = head * sizes.keyWidth + min(c, sizes.keyWidth - 1);
  let quad = first / 4;
  near0 = sumsOf(chunk, first, channel);
  near1 = sumsOf(chunk, first + 4, channel);
  near2 = sumsOf(chunk, first + 8, channel);
  near3 = sumsOf(chunk, first + 12, channel);
  let others = select(vec2u(0, first), vec2u(first + part, chunk.tokens), toEnd);
  var border: vec2f;
  if (toEnd || first > 0) {
    border = sumOf(chunk, select(first - 1, first + part - 1, toEnd), channel);
  }

  var own0 = vec4f();
  var own1 = vec4f();
  var own2 = vec4f();
  var own3 = vec4f();
  let planes = planesOf(sizes.extra);
  for (var term = 0u; term < 2; term++) {
    let plane = select(planes.x, planes.y, term == 1);
    if (plane == noPlane) {
      continue;
    }
    keepPairs(plane, groups.z, group.z, head, local, toEnd);
    if (isThere) {
      far0 = vec4f();
      far1 = vec4f();
      far2 = vec4f();
      far3 = vec4f();
      for (var other = others.x; other < others.y; other += 4) {
        let sums = sumsOf(chunk, other, channel);
        let values = othersAt(term, plane, chunk, other, channel, toEnd) * decays(sums, border);
        addFar(other, quad, values.x);
        addFar(other + 1, quad, values.y);
        addFar(other + 2, quad, values.z);
        addFar(other + 3, quad, values.w);
      }
      sum0 += far0 * decays(near0, border);
      sum1 += far1 * decays(near1, border);
      sum2 += far2 * decays(near2, border);
      sum3 += far3 * decays(near3, border);
      for (var other = first; other < min(first + part, chunk.tokens); other += 4) {
        let sums = sumsOf(chunk, other, channel);
        let values = othersAt(term, plane, chunk, other, channel, toEnd);
        addWithin(other, first, values.x, vec2f(sums.wholes.x, sums.fractions.x), toEnd);
        addWithin(other + 1, first, values.y, vec2f(sums.wholes.y, sums.fractions.y), toEnd);
        addWithin(other + 2, first, values.z, vec2f(sums.wholes.z, sums.fractions.z), toEnd);
        addWithin(other + 3, first, values.w, vec2f(sums.wholes.w, sums.fractions.w), toEnd);
      }
      if (!isRecall(plane) || sizes.before != 0) {
        own0 += ownPairs(first) * othersAt(term, plane, chunk, first, channel, toEnd);
        own1 += ownPairs(first + 4) * othersAt(term, plane, chunk, first + 4, channel, toEnd);
        own2 += ownPairs(first + 8) * othersAt(term, plane, chunk, first + 8, channel, toEnd);
        own3 += ownPairs(first + 12) * othersAt(term, plane, chunk, first + 12, channel, toEnd);
      }
    }
  }
  if (!isThere) {
    return;
  }

  var chunkBorder: vec2f;
  if (toEnd) {
    chunkBorder = sumThrough(chunk, i32(chunk.tokens) - 1, channel);
  }
  finishFour(chunk, first, channel, decays(near0, chunkBorder), sum0, own0, toEnd);
  finishFour(chunk, first + 4, channel, decays(near1, chunkBorder), sum1, own1, toEnd);
  finishFour(chunk, first + 8, channel, decays(near2, chunkBorder), sum2, own2, toEnd);
  finishFour(chunk, first + 12, channel, decays(near3, chunkBorder), sum3, own3, toEnd);
}
