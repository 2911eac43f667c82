// Gradient of q or k with one gate for each key channel, from what z holds of the state:
//
//     dq_i = z_i ⊙ e^{ρ_i} + Σ_{j<i} P_ij k_j ⊙ e^{ρ_i − b_j}
//     dk_j = z_j ⊙ e^{b_C − b_j} + Σ_{i>j} P_ij q_i ⊙ e^{ρ_i − b_j}        (`toEnd`)
//
// and P_ii u ⊙ k_i, P_jj u ⊙ q_j of a token's own write, for P_ij = dO_i · v_j. An invocation has 16 tokens of one channel in
// registers. With r the running sum at the border of these tokens towards the others, the decay to any of those is e^{ρ_i − r}
// e^{r − b_j}; pairs within the 16 get an exponential each.
//
// `gates` gets what the gate's gradient is made of: x ⊙ dx of reads (all but their own writes), of writes by way of the
// scores, of writes by way of the state.
const part = 16u;
const parts = 4u;

/** P by [other token, quad of tokens]. */
var<workgroup> pairs: array<vec4f, 1024>;

/** ρ of a token that reads, b of one that writes. */
fn sumOf(chunk: Chunk, token: u32, channel: u32, reading: bool) -> vec2f {
  let known = min(token, chunk.tokens - 1);
  if (reading) {
    return sumToRead(chunk, known, channel);
  }
  return sumThrough(chunk, i32(known), channel);
}

/** Running sums of 4 tokens. */
struct Sums {
  wholes: vec4f,
  fractions: vec4f,
}

fn sumsOf(chunk: Chunk, token: u32, channel: u32, reading: bool) -> Sums {
  let a = sumOf(chunk, token, channel, reading);
  let b = sumOf(chunk, token + 1, channel, reading);
  let c = sumOf(chunk, token + 2, channel, reading);
  let d = sumOf(chunk, token + 3, channel, reading);
  return Sums(vec4f(a.x, b.x, c.x, d.x), vec4f(a.y, b.y, c.y, d.y));
}

fn decays(near: Sums, other: vec2f) -> vec4f {
  return exp(-abs(near.wholes - other.x + (near.fractions - other.y)));
}

/** The decays of 4 tokens from `token` on to another one, 0 where that is not on the side that the gradient comes from. */
fn decaysWithin(near: Sums, token: u32, other: u32, at: vec2f, toEnd: bool) -> vec4f {
  let tokens = token + vec4u(0, 1, 2, 3);
  let counts = select(tokens > vec4u(other), tokens < vec4u(other), vec4<bool>(toEnd));
  return select(vec4f(), decays(near, at), counts);
}

/** Of an invocation's 16 tokens: their running sums, and what they get from others. */
var<private> near0: Sums;
var<private> near1: Sums;
var<private> near2: Sums;
var<private> near3: Sums;
var<private> sum0: vec4f;
var<private> sum1: vec4f;
var<private> sum2: vec4f;
var<private> sum3: vec4f;

fn add(other: u32, quad: u32, value: f32) {
  let at = other * 16 + quad;
  sum0 += value * pairs[at];
  sum1 += value * pairs[at + 1];
  sum2 += value * pairs[at + 2];
  sum3 += value * pairs[at + 3];
}

fn addWithin(other: u32, first: u32, value: f32, sum: vec2f, toEnd: bool) {
  let at = other * 16 + first / 4;
  sum0 += value * pairs[at] * decaysWithin(near0, first, other, sum, toEnd);
  sum1 += value * pairs[at + 1] * decaysWithin(near1, first + 4, other, sum, toEnd);
  sum2 += value * pairs[at + 2] * decaysWithin(near2, first + 8, other, sum, toEnd);
  sum3 += value * pairs[at + 3] * decaysWithin(near3, first + 12, other, sum, toEnd);
}

/** What 4 tokens give: y, 0 from `end` on, and running sums. */
struct Four {
  values: vec4f,
  sums: Sums,
}

fn fourOf(chunk: Chunk, row0: u32, token: u32, end: u32, channel: u32, reading: bool) -> Four {
  let width = sizes.heads * sizes.keyWidth;
  let tokens = token + vec4u(0, 1, 2, 3);
  let at = row0 + min(tokens, vec4u(end - 1)) * width;
  let values = select(vec4f(), vec4f(y[at.x], y[at.y], y[at.z], y[at.w]), tokens < vec4u(end));
  return Four(values, sumsOf(chunk, token, channel, reading));
}

/** Puts the parts of 4 tokens' gradients together. */
fn finish(chunk: Chunk, first: u32, channel: u32, toState: vec4f, sum: vec4f, toEnd: bool) {
  let tokens = first + vec4u(0, 1, 2, 3);
  let quad = first / 4;
  let width = sizes.heads * sizes.keyWidth;
  // Behind the last token stands one before it, which is this invocation's too.
  let at = (chunk.start + select(vec4u(min(first, chunk.tokens - 1)), tokens, tokens < vec4u(chunk.tokens))) * width + channel;
  let fromState = vec4f(z[at.x], z[at.y], z[at.z], z[at.w]) * toState;
  let fromScores = sizes.scoreScale * sum;
  let ownScores = vec4f(
    pairs[first * 16 + quad].x,
    pairs[(first + 1) * 16 + quad].y,
    pairs[(first + 2) * 16 + quad].z,
    pairs[(first + 3) * 16 + quad].w,
  );
  var own = sizes.scoreScale * ownScores * vec4f(y[at.x], y[at.y], y[at.z], y[at.w]);
  if (sizes.before != 0) {
    own *= bonus[channel];
  }
  let weights = vec4f(weight[at.x], weight[at.y], weight[at.z], weight[at.w]);
  leave(tokens.x < chunk.tokens, at.x, fromState.x, fromScores.x, own.x, weights.x, toEnd);
  leave(tokens.y < chunk.tokens, at.y, fromState.y, fromScores.y, own.y, weights.y, toEnd);
  leave(tokens.z < chunk.tokens, at.z, fromState.z, fromScores.z, own.z, weights.z, toEnd);
  leave(tokens.w < chunk.tokens, at.w, fromState.w, fromScores.w, own.w, weights.w, toEnd);
}

fn leave(isToken: bool, at: u32, fromState: f32, fromScores: f32, own: f32, weight: f32, toEnd: bool) {
  if (!isToken) {
    return;
  }
  let size = sizes.rows * sizes.heads * sizes.keyWidth;
  z[at] = fromState + fromScores + own;
  if (toEnd) {
    gates[size + at] = weight * fromScores;
    gates[2 * size + at] = weight * fromState;
  } else {
    gates[at] = weight * (fromState + fromScores);
  }
}

@compute @workgroup_size(64, parts)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(local_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
) {
  let toEnd = sizes.toEnd != 0;
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  {
    let row = local / 16;
    let quad = local % 16;
    let source = ((group.z * sizes.heads + head) * 64 + 4 * row) * 16 + quad;
    let block = mat4x4f(scores[source], scores[source + 16], scores[source + 32], scores[source + 48]);
    let turned = transpose(block);
    let place = select(4 * quad * 16 + row, 4 * row * 16 + quad, toEnd);
    pairs[place] = select(turned[0], block[0], toEnd);
    pairs[place + 16] = select(turned[1], block[1], toEnd);
    pairs[place + 32] = select(turned[2], block[2], toEnd);
    pairs[place + 48] = select(turned[3], block[3], toEnd);
  }
  workgroupBarrier();

  let c = group.x * 64 + id.x;
  let first = id.y * part;
  if (c >= sizes.keyWidth || first >= chunk.tokens) {
    return;
  }
  let channel = head * sizes.keyWidth + c;
  let width = sizes.heads * sizes.keyWidth;
  let row0 = chunk.start * width + channel;
  let quad = first / 4;

  // From the tokens beyond the 16.
  let others = select(vec2u(0, first), vec2u(first + part, chunk.tokens), toEnd);
  var border: vec2f;
  if (toEnd || first > 0) {
    border = sumOf(chunk, select(first - 1, first + part - 1, toEnd), channel, false);
  }
  for (var other = others.x; other < others.y; other += 4) {
    let four = fourOf(chunk, row0, other, others.y, channel, toEnd);
    let values = four.values * decays(four.sums, border);
    add(other, quad, values.x);
    add(other + 1, quad, values.y);
    add(other + 2, quad, values.z);
    add(other + 3, quad, values.w);
  }
  near0 = sumsOf(chunk, first, channel, !toEnd);
  near1 = sumsOf(chunk, first + 4, channel, !toEnd);
  near2 = sumsOf(chunk, first + 8, channel, !toEnd);
  near3 = sumsOf(chunk, first + 12, channel, !toEnd);
  sum0 *= decays(near0, border);
  sum1 *= decays(near1, border);
  sum2 *= decays(near2, border);
  sum3 *= decays(near3, border);

  for (var other = first; other < min(first + part, chunk.tokens); other += 4) {
    let four = fourOf(chunk, row0, other, chunk.tokens, channel, toEnd);
    addWithin(other, first, four.values.x, vec2f(four.sums.wholes.x, four.sums.fractions.x), toEnd);
    addWithin(other + 1, first, four.values.y, vec2f(four.sums.wholes.y, four.sums.fractions.y), toEnd);
    addWithin(other + 2, first, four.values.z, vec2f(four.sums.wholes.z, four.sums.fractions.z), toEnd);
    addWithin(other + 3, first, four.values.w, vec2f(four.sums.wholes.w, four.sums.fractions.w), toEnd);
  }

  var chunkBorder: vec2f;
  if (toEnd) {
    chunkBorder = sumThrough(chunk, i32(chunk.tokens) - 1, channel);
  }
  finish(chunk, first, channel, decays(near0, chunkBorder), sum0, toEnd);
  finish(chunk, first + 4, channel, decays(near1, chunkBorder), sum1, toEnd);
  finish(chunk, first + 8, channel, decays(near2, chunkBorder), sum2, toEnd);
  finish(chunk, first + 12, channel, decays(near3, chunkBorder), sum3, toEnd);
}
