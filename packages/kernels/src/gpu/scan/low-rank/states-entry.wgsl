// A walk of states.wgsl from what enters a segment, which is added to the states and values that are there without it. Where it
// no longer changes a state, the walk is over. Follows settling.wgsl.
fn start(laneRow: u32, row: u32, column: u32) -> vec4f {
  if (row >= sizes.keyWidth) {
    return vec4f();
  }
  return entriesAt(laneRow + row, column);
}

fn leave(stateRow: u32, row: u32, column: u32, state: vec4f) -> bool {
  if (row >= sizes.keyWidth) {
    return false;
  }
  let without = statesAt(stateRow + row, column);
  let whole = without + state;
  putStates(stateRow + row, column, whole);
  return any(whole != without);
}

fn finish(laneRow: u32, row: u32, column: u32, state: vec4f) {}

fn putValues(chunk: Chunk, head: u32, token: u32, column: u32, value: vec4f) {
  if (token < chunk.tokens) {
    let row = (chunk.start + token) * sizes.heads + head;
    putZ(row, column, zAt(row, column) + value);
  }
}

fn tell(tile: u32, isOver: bool) {}
