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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var chunk = vec4u();
  var first = 0u;
  for (var s = 0u; s < sizes.sequences; s++) {
    let length = u32(lengths[s]);
    let count = (length + chunkSize - 1) / chunkSize;
    if (id.x == s) {
      sequenceChunks[s] = vec2u(first, count);
    }
    if (id.x >= first && id.x < first + count) {
      let index = id.x - first;
      chunk = vec4u(u32(starts[s]) + index * chunkSize, min(chunkSize, length - index * chunkSize), s, index);
    }
    first += count;
  }
  if (id.x < sizes.chunks) {
    chunks[id.x] = chunk;
  }
}
