// One bit for each row of a workgroup's chunk and each memory: whether the row chose it.
const words = chunkRows / 32;

var<workgroup> masks: array<atomic<u32>, words * memories>;

/** Memories out of range are not routed to. */
fn isMemory(choice: i32) -> bool {
  return choice >= 0 && choice < i32(memories);
}

fn choiceAt(row: u32, j: u32) -> i32 {
  return select(i32(memories) - 1, choices[row * sizes.given + min(j, sizes.given - 1)], j < sizes.given);
}

fn markChoices(chunk: Chunk, local: u32) {
  if (local < chunk.rows) {
    for (var j = 0u; j < sizes.chosen; j++) {
      let choice = choiceAt(chunk.first + local, j);
      if (isMemory(choice)) {
        atomicOr(&masks[u32(choice) * words + local / 32], 1u << (local % 32));
      }
    }
  }
  workgroupBarrier();
}
