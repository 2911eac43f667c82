// Cuts sequences into chunks of `chunkSize` tokens: which rows each chunk is, and which chunks each sequence has. There are as
// many entries as there can be chunks at most; those left over have no tokens.
const chunkSize = 64u;

struct Uniforms {
  sequences: u32,
  chunks: u32,
}

@group(0) @binding(0) var<storage, read> starts: array<i32>;
@group(0) @binding(1) var<storage, read> lengths: array<i32>;
/** First row, tokens, sequence, index in the sequence. */
@group(0) @binding(2) var<storage, read_write> chunks: array<vec4u>;
/** First chunk, number of chunks. */
@group(0) @binding(3) var<storage, read_write> sequenceChunks: array<vec2u>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

fn lengthOf(sequence: u32) -> u32 {
  return select(0, u32(lengths[min(sequence, sizes.sequences - 1)]), sequence < sizes.sequences);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var sequence = 0u;
  var index = 0u;
  var tokens = 0u;
  var first = 0u;
  for (var s = 0u; s < sizes.sequences; s += 4) {
    // A loop waits for what it reads: four at once.
    let own = vec4u(lengthOf(s), lengthOf(s + 1), lengthOf(s + 2), lengthOf(s + 3));
    let counts = (own + chunkSize - 1) / chunkSize;
    for (var i = 0u; i < 4; i++) {
      if (id.x == s + i && id.x < sizes.sequences) {
        sequenceChunks[id.x] = vec2u(first, counts[i]);
      }
      if (id.x >= first && id.x < first + counts[i]) {
        sequence = s + i;
        index = id.x - first;
        tokens = min(chunkSize, own[i] - index * chunkSize);
      }
      first += counts[i];
    }
  }
  if (id.x < sizes.chunks) {
    let start = u32(starts[sequence]) + index * chunkSize;
    chunks[id.x] = select(vec4u(), vec4u(start, tokens, sequence, index), tokens > 0);
  }
}
