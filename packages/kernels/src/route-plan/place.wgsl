// Last stage: where each copy lies, and what lies in each bucket row. A workgroup also sees to the bucket rows of its own number that are
// left over. What stands before this text says where copies begin: findFirsts, after which firstOf and copiesInAll are known, and `sizes`.
@group(0) @binding(0) var<storage, read> choices: array<i32>;
@group(0) @binding(1) var<storage, read> table: array<u32>;
@group(0) @binding(2) var<storage, read_write> source: array<i32>;
@group(0) @binding(3) var<storage, read_write> position: array<i32>;
@group(0) @binding(4) var<storage, read_write> rowBucket: array<i32>;
@group(0) @binding(5) var<storage, read_write> rowGroup: array<i32>;

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
    let at = chunkAt(index);
    chunk = Chunk(table[at], table[at + 1], table[at + 2]);
  }
  markChoices(chunk, local);
  findFirsts(index, local);
  if (local < chunk.rows) {
    let row = chunk.first + local;
    for (var j = 0u; j < sizes.chosen; j++) {
      let choice = choiceAt(row, j);
      var place = -1i;
      if (isMemory(choice)) {
        let memory = u32(choice);
        let at = firstOf(memory, index) + rankOf(memory, local);
        place = i32(at);
        source[at] = i32(row);
        rowBucket[at] = i32(memory * sizes.sequences + chunk.sequence);
        rowGroup[at] = choice;
      }
      position[row * sizes.chosen + j] = place;
    }
  }

  let own = index * chunkRows + local;
  let end = min(own + 1, sizes.rows) * sizes.chosen;
  for (var copy = max(own * sizes.chosen, copiesInAll()); copy < end; copy++) {
    source[copy] = -1;
    rowBucket[copy] = -1;
    rowGroup[copy] = -1;
  }
}
