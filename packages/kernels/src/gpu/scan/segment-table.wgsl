// Cuts the chunks of sequences into segments: which chunks each segment has, and which segments each sequence has. There are as
// many entries as there can be segments at most; those left over have no chunks.
struct Uniforms {
  sequences: u32,
  segments: u32,
  /** Chunks of a segment. */
  length: u32,
}

/** First chunk, number of chunks. */
@group(0) @binding(0) var<storage, read> sequenceChunks: array<vec2u>;
@group(0) @binding(1) var<storage, read_write> segmentChunks: array<vec2u>;
/** First segment, number of segments. */
@group(0) @binding(2) var<storage, read_write> sequenceSegments: array<vec2u>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  var found = vec2u();
  var first = 0u;
  for (var s = 0u; s < sizes.sequences; s++) {
    let own = sequenceChunks[s];
    let count = (own.y + sizes.length - 1) / sizes.length;
    if (id.x == s) {
      sequenceSegments[s] = vec2u(first, count);
    }
    if (id.x >= first && id.x < first + count) {
      let before = (id.x - first) * sizes.length;
      found = vec2u(own.x + before, min(sizes.length, own.y - before));
    }
    first += count;
  }
  if (id.x < sizes.segments) {
    segmentChunks[id.x] = found;
  }
}
