// The log decay summed from each chunk's start, its own token included, for every channel. A sum is kept as a whole number and
// a fraction in (−1, 0]: differences of two such sums keep the digits of an open gate behind closed ones (g = −10⁴).
const step = 16u;

/** Of one channel of a chunk. */
fn sumGates(chunk: vec4u, channel: u32) {
  if (channel >= sizes.channels) {
    return;
  }
  var sum = vec2f();
  for (var first = 0u; first < chunk.y; first += step) {
    // All of a step's gates are on their way before the first is needed.
    var gates: array<f32, step>;
    for (var t = 0u; t < step; t++) {
      gates[t] = logDecay[(chunk.x + min(first + t, chunk.y - 1)) * sizes.channels + channel];
    }
    for (var t = 0u; t < step; t++) {
      let whole = ceil(gates[t]);
      sum += vec2f(whole, gates[t] - whole);
      let carry = ceil(sum.y);
      sum += vec2f(carry, -carry);
      if (first + t < chunk.y) {
        sums[(chunk.x + first + t) * sizes.channels + channel] = sum;
      }
    }
  }
}
