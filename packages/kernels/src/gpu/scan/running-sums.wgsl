// The log decay summed from each chunk's start, its own token included, for every channel. A sum is kept as a whole number and
// a fraction in (−1, 0]: differences of two such sums keep the digits of an open gate behind closed ones (g = −10⁴).
const chunkSize = 64u;
const step = 16u;

struct Uniforms {
  channels: u32,
}

@group(0) @binding(0) var<storage, read> logDecay: array<f32>;
@group(0) @binding(1) var<storage, read> chunks: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec2f>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.y];
  if (id.x >= sizes.channels) {
    return;
  }
  var sum = vec2f();
  for (var first = 0u; first < chunk.y; first += step) {
    // All of a step's gates are on their way before the first is needed.
    var gates: array<f32, step>;
    for (var t = 0u; t < step; t++) {
      gates[t] = logDecay[(chunk.x + min(first + t, chunk.y - 1)) * sizes.channels + id.x];
    }
    for (var t = 0u; t < step; t++) {
      let whole = ceil(gates[t]);
      sum += vec2f(whole, gates[t] - whole);
      let carry = ceil(sum.y);
      sum += vec2f(carry, -carry);
      if (first + t < chunk.y) {
        sums[(chunk.x + first + t) * sizes.channels + id.x] = sum;
      }
    }
  }
}
