// First stage: cuts sequences into chunks, and counts in each how often each memory was chosen.
@group(0) @binding(0) var<storage, read> choices: array<i32>;
@group(0) @binding(1) var<storage, read> starts: array<i32>;
@group(0) @binding(2) var<storage, read> lengths: array<i32>;
@group(0) @binding(3) var<storage, read_write> chunks: array<Chunk>;
/** First chunk of each sequence. */
@group(0) @binding(4) var<storage, read_write> sequenceChunks: array<u32>;
/** [memories, chunks] */
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;
@group(0) @binding(6) var<uniform> sizes: Uniforms;

@compute @workgroup_size(chunkRows)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = group.y * groups.x + group.x;
  let id = index * chunkRows + local;
  var chunk = Chunk();
  var first = 0u;
  for (var s = 0u; s < sizes.sequences; s++) {
    let length = u32(lengths[s]);
    let count = (length + chunkRows - 1) / chunkRows;
    if (id == s) {
      sequenceChunks[s] = first;
    }
    if (index >= first && index < first + count) {
      let offset = (index - first) * chunkRows;
      chunk = Chunk(u32(starts[s]) + offset, min(chunkRows, length - offset), s, 0);
    }
    first += count;
  }
  markChoices(chunk, local);
  if (index >= sizes.chunks) {
    return;
  }
  if (local == 0) {
    chunks[index] = chunk;
  }
  for (var m = local; m < memories; m += chunkRows) {
    var count = 0u;
    for (var word = 0u; word < words; word++) {
      count += countOneBits(atomicLoad(&masks[m * words + word]));
    }
    counts[m * sizes.chunks + index] = count;
  }
}
