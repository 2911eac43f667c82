// Where copies begin, for the last stage of three: as the one before has found.
@group(0) @binding(6) var<storage, read> firsts: array<u32>;
@group(0) @binding(7) var<uniform> sizes: Uniforms;

fn findFirsts(index: u32, local: u32) {}

fn firstOf(memory: u32, index: u32) -> u32 {
  return firsts[countAt(memory, index)];
}

fn copiesInAll() -> u32 {
  return firsts[countAt(memories, 0)];
}
