// Third stage: where each copy lies, and what lies in each bucket row. A workgroup also sees to the rows of its own number that are
// padding, and to the bucket rows of its own number that are left over.
@group(0) @binding(0) var<storage, read> choices: array<i32>;
@group(0) @binding(1) var<storage, read> rowSequence: array<i32>;
@group(0) @binding(2) var<storage, read> chunks: array<Chunk>;
@group(0) @binding(3) var<storage, read> firsts: array<u32>;
@group(0) @binding(4) var<storage, read_write> source: array<i32>;
@group(0) @binding(5) var<storage, read_write> position: array<i32>;
@group(0) @binding(6) var<storage, read_write> rowBucket: array<i32>;
@group(0) @binding(7) var<storage, read_write> rowGroup: array<i32>;
@group(0) @binding(8) var<uniform> sizes: Uniforms;

/** Rows of the chunk before this one that chose the memory. */
fn rankOf(memory: u32, local: u32) -> u32 {
  var rank = 0u;
  for (var word = 0u; word < local / 32; word++) {
    rank += countOneBits(atomicLoad(&masks[memory * words + word]));
  }
  let before = (1u << (local % 32)) - 1;
  return rank + countOneBits(atomicLoad(&masks[memory * words + local / 32]) & before);
}

@compute @workgroup_size(chunkRows)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = group.y * groups.x + group.x;
  var chunk = Chunk();
  if (index < sizes.chunks) {
    chunk = chunks[index];
  }
  markChoices(chunk, local);
  if (local < chunk.rows) {
    let row = chunk.first + local;
    for (var j = 0u; j < sizes.chosen; j++) {
      let choice = choiceAt(row, j);
      var place = -1i;
      if (isMemory(choice)) {
        let memory = u32(choice);
        let at = firsts[memory * sizes.chunks + index] + rankOf(memory, local);
        place = i32(at);
        source[at] = i32(row);
        rowBucket[at] = i32(memory * sizes.sequences + chunk.sequence);
        rowGroup[at] = choice;
      }
      position[row * sizes.chosen + j] = place;
    }
  }

  let own = index * chunkRows + local;
  if (own >= sizes.rows) {
    return;
  }
  let isPadding = rowSequence[own] < 0;
  let taken = firsts[memories * sizes.chunks];
  for (var copy = own * sizes.chosen; copy < (own + 1) * sizes.chosen; copy++) {
    if (isPadding) {
      position[copy] = -1;
    }
    if (copy >= taken) {
      source[copy] = -1;
      rowBucket[copy] = -1;
      rowGroup[copy] = -1;
    }
  }
}
