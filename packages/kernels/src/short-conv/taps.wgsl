// What the stages of the short convolution share: the taps, and what they read. An invocation has four neighbouring channels.
// Taps are taken in groups of four, so that the usual window is one group, held in registers.
override width: u32;
override hasBias: bool;
override hasInitialState: bool;
override isSilu: bool;
/** Of a workgroup: `lanes` along the channels, `slots` items that each have rows of their own. */
override lanes: u32;
override slots: u32;

struct Uniforms {
  rows: u32,
  channels: u32,
  sequences: u32,
  /** Rows of an item. */
  span: u32,
}

struct Place {
  /** −1: the row is in none. */
  sequence: i32,
  position: u32,
}

fn placeOf(row: u32) -> Place {
  let sequence = rowSequence[row];
  if (sequence < 0) {
    return Place(-1, 0);
  }
  return Place(sequence, row - u32(starts[sequence]));
}

/** 0 behind the window. */
fn tapAt(column: u32, tap: u32) -> vec4f {
  let at = column * width + tap;
  let value = vec4f(weight[at], weight[at + width], weight[at + 2 * width], weight[at + 3 * width]);
  return select(vec4f(), value, tap < width);
}

fn tapsAt(column: u32, first: u32) -> mat4x4f {
  return mat4x4f(tapAt(column, first), tapAt(column, first + 1), tapAt(column, first + 2), tapAt(column, first + 3));
}
