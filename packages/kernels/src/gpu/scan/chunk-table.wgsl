// Cuts sequences into chunks of `chunkSize` tokens: which rows each chunk is, and which chunks each sequence has. There are as
// many entries as there can be chunks at most; those left over have no tokens. A workgroup finds its chunk by itself, so that it can go
// on to the chunk's tokens (`sumGates`) without waiting for a dispatch in between.
const chunkSize = 64u;
const invocations = 64u;
/** A loop waits for what it reads: an invocation reads the lengths of four sequences at once. */
const sequencesAtOnce = 4 * invocations;

struct Uniforms {
  channels: u32,
  sequences: u32,
}

/** Chunks of the sequences that each invocation has read. */
var<workgroup> chunkCounts: array<u32, invocations>;
/** As an entry of the table: first row, tokens, sequence, index in the sequence. */
var<workgroup> found: vec4u;

fn lengthOf(sequence: u32) -> u32 {
  return select(0, u32(lengths[min(sequence, sizes.sequences - 1)]), sequence < sizes.sequences);
}

/** Chunks of the sequences that the invocations before have read, and those of all. */
fn sumCounts(local: u32) -> vec2u {
  var sums = vec2u();
  for (var i = 0u; i < invocations; i++) {
    sums += chunkCounts[i] * vec2u(u32(i < local), 1);
  }
  return sums;
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  var passed = 0u;
  for (var s = 0u; s < sizes.sequences; s += sequencesAtOnce) {
    let sequence = s + 4 * local;
    let own = vec4u(lengthOf(sequence), lengthOf(sequence + 1), lengthOf(sequence + 2), lengthOf(sequence + 3));
    let counts = (own + chunkSize - 1) / chunkSize;
    workgroupBarrier();
    chunkCounts[local] = counts.x + counts.y + counts.z + counts.w;
    workgroupBarrier();
    let sums = sumCounts(local);
    var first = passed + sums.x;
    for (var i = 0u; i < 4; i++) {
      if (sequence + i == group.x && group.x < sizes.sequences) {
        sequenceChunks[group.x] = vec2u(first, counts[i]);
      }
      if (group.x >= first && group.x < first + counts[i]) {
        let index = group.x - first;
        let before = index * chunkSize;
        found = vec4u(
          u32(starts[sequence + i]) + before,
          min(chunkSize, own[i] - before),
          sequence + i,
          index,
        );
      }
      first += counts[i];
    }
    passed += sums.y;
  }
  let chunk = workgroupUniformLoad(&found);
  if (local == 0) {
    chunks[group.x] = chunk;
  }
  sumGates(chunk, local);
}
