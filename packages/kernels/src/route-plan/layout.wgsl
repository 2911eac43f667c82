// What the stages of the plan share: sequences are cut into chunks of 128 rows, of which a workgroup has one. What stands behind this
// text: `sizes`, and the `table` that the first stage leaves to the others. It holds how often each memory was chosen in each chunk, the
// first chunk of each sequence, and the chunks.
const chunkRows = 128u;
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
}

fn countAt(memory: u32, chunk: u32) -> u32 {
  return memory * sizes.chunks + chunk;
}

fn sequenceAt(sequence: u32) -> u32 {
  return countAt(memories, 0) + sequence;
}

/** Its three numbers are neighbours. */
fn chunkAt(chunk: u32) -> u32 {
  return sequenceAt(sizes.sequences) + 3 * chunk;
}
