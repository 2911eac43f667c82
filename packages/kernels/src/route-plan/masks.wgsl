// What the stages of the plan begin with: a workgroup has a chunk of 128 rows of one sequence, and one bit for each of its rows and
// each memory that tells whether the row chose it.
const chunkRows = 128u;
const words = 4u;
override memories: u32;

struct Uniforms {
  rows: u32,
  sequences: u32,
  /** As many as there can be at most. */
  chunks: u32,
  /** Choices of a row, and those that are given: where there is one more, it is the last memory. */
  chosen: u32,
  given: u32,
}

/** Those that are left over have no rows. */
struct Chunk {
  first: u32,
  rows: u32,
  sequence: u32,
  unused: u32,
}

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
