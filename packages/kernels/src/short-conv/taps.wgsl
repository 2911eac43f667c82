// What the stages of short convolutions share: which channels an invocation has, and the taps, and what they read. An invocation
// has four neighbouring channels of one part, a convolution. Taps are taken in groups of four, so that the usual window is one
// group, held in registers.
override width: u32;
/** Bit i: the activation of part i is SiLU. */
override silu: u32;
/** Of a workgroup: `lanes` along the channels, `slots` items that each have rows of their own. */
override lanes: u32;
override slots: u32;

/** The part of a workgroup: its channels, and those of the parts before it. */
var<private> part: u32;
var<private> channels: u32;
var<private> channelsBefore: u32;

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

/** 0 outside of the window. */
fn tapAt(column: u32, tap: u32) -> vec4f {
  return select(vec4f(), weightAt(column * width + min(tap, width - 1)), tap < width);
}

fn tapsAt(column: u32, first: u32) -> mat4x4f {
  return mat4x4f(tapAt(column, first), tapAt(column, first + 1), tapAt(column, first + 2), tapAt(column, first + 3));
}
