// A walk of states.wgsl along a whole sequence, or a segment that nothing enters: states are left at the chunks' borders, and the last.
// `stateScale` is 0 where there is no initial state, `scoreScale` where nobody asks for the last.
const homogeneous = false;

fn isSettled(local: u32, isAlive: bool) -> bool {
  return false;
}

fn valuesAt(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let value = yAt((chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head, column);
  return select(vec4f(), value, token < chunk.tokens);
}

/** 4 rows of values. */
fn valuesOf(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    valuesAt(chunk, head, token, column),
    valuesAt(chunk, head, token + 1, column),
    valuesAt(chunk, head, token + 2, column),
    valuesAt(chunk, head, token + 3, column),
  );
}

fn start(laneRow: u32, row: u32, column: u32) -> vec4f {
  if (sizes.stateScale == 0 || row >= sizes.keyWidth) {
    return vec4f();
  }
  return initialAt(laneRow + row, column);
}

/** Leaves a row of the state at the chunk's border. */
fn leave(stateRow: u32, row: u32, column: u32, state: vec4f) -> bool {
  if (row < sizes.keyWidth) {
    putStates(stateRow + row, column, state);
  }
  return true;
}

fn finish(laneRow: u32, row: u32, column: u32, state: vec4f) {
  if (sizes.scoreScale != 0 && row < sizes.keyWidth) {
    putLast(laneRow + row, column, state);
  }
}

fn putValues(chunk: Chunk, head: u32, token: u32, column: u32, value: vec4f) {
  if (token < chunk.tokens) {
    putZ((chunk.start + token) * sizes.heads + head, column, value);
  }
}

fn tell(tile: u32, isOver: bool) {}
