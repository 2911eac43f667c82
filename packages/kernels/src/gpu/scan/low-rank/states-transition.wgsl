// A walk of states.wgsl from the identity: what is left behind the last chunk is the segment's transition. Follows settling.wgsl.
fn start(laneRow: u32, row: u32, column: u32) -> vec4f {
  return select(vec4f(), vec4f(vec4u(row) == column + vec4u(0, 1, 2, 3)), row < sizes.keyWidth);
}

/** Subnormal values count as 0, which is what any operation of WGSL may make of them. */
const leastNormal = 1.17549435e-38;

fn leave(stateRow: u32, row: u32, column: u32, state: vec4f) -> bool {
  return any(abs(state) >= vec4f(leastNormal));
}

fn finish(laneRow: u32, row: u32, column: u32, state: vec4f) {
  if (row < sizes.keyWidth) {
    putTransitions(laneRow + row, column, state);
  }
}

fn putValues(chunk: Chunk, head: u32, token: u32, column: u32, value: vec4f) {}

/** Whether there is anything in these columns of the transition. */
fn tell(tile: u32, isOver: bool) {
  areThere[tile] = select(1u, 0u, isOver);
}
