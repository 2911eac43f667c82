// With one gate for each key channel: the running sums b of running-sums.wgsl, and the rows that they decay,
//
//     readQ_i = q_i ⊙ e^{ρ_i}        writtenK_j = k_j ⊙ e^{b_C − b_j}
//
// from the chunk's start to a token that reads, and from a token that writes to the chunk's end. A workgroup has 64 channels of a
// chunk, an invocation 16 tokens of one.
const part = 16u;
const parts = 4u;

/** The gates of 16 tokens. */
var<workgroup> totals: array<vec2f, 64 * parts>;

/** Whole number and fraction in (−1, 0] of a sum. */
fn carried(sum: vec2f) -> vec2f {
  let carry = ceil(sum.y);
  return sum + vec2f(carry, -carry);
}

@compute @workgroup_size(64, parts)
fn main(@builtin(local_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let c = group.x * 64 + id.x;
  let width = sizes.heads * sizes.keyWidth;
  let first = id.y * part;
  let at0 = chunk.start * width + group.y * sizes.keyWidth + min(c, sizes.keyWidth - 1);
  // All of these are on their way before the first is needed.
  var own: array<vec2f, part>;
  for (var t = 0u; t < part; t++) {
    let value = logDecay[at0 + min(first + t, chunk.tokens - 1) * width];
    let whole = ceil(value);
    own[t] = select(vec2f(), vec2f(whole, value - whole), first + t < chunk.tokens);
  }
  for (var t = 1u; t < part; t++) {
    own[t] = carried(own[t - 1] + own[t]);
  }
  totals[id.y * 64 + id.x] = own[part - 1];
  workgroupBarrier();
  if (c >= sizes.keyWidth) {
    return;
  }

  var before = vec2f();
  var end = vec2f();
  for (var n = 0u; n < parts; n++) {
    if (n == id.y) {
      before = end;
    }
    end = carried(end + totals[n * 64 + id.x]);
  }
  var last = before;
  for (var t = 0u; t < part; t++) {
    let at = at0 + (first + t) * width;
    let sum = carried(before + own[t]);
    if (first + t < chunk.tokens) {
      sums[at] = sum;
      readQ[at] = q[at] * decayBetween(select(sum, last, sizes.before != 0), vec2f());
      writtenK[at] = k[at] * decayBetween(end, sum);
    }
    last = sum;
  }
}
