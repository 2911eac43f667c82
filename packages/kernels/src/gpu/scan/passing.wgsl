// What passes from chunk to chunk, Σ S ⊙ dS of the state S in front of a chunk and of its gradient dS, which is what leaves the chunk
// before, both as mixed-states-wgsl.ts has left them: pairs of columns in the order of fragments, each 32 columns with a unit.
// In front of a sequence's first chunk is its initial state.
const hasInitial = 1u;

fn stateWords() -> u32 {
  return (sizes.keyWidth * sizes.valueWidth + max(16, sizes.valueWidth / 16)) / 2;
}

/** Of 4 pairs, each so far from the one before. */
fn passingBetween(index: u32, head: u32, pair: u32, step: u32) -> vec4f {
  let state = (index * sizes.heads + head) * stateWords() + pair;
  let gradient = ((index - 1) * sizes.heads + head) * stateWords() + pair;
  return vec4f(
    dot(unpack2x16float(states[state]), unpack2x16float(dStates[gradient])),
    dot(unpack2x16float(states[state + step]), unpack2x16float(dStates[gradient + step])),
    dot(unpack2x16float(states[state + 2 * step]), unpack2x16float(dStates[gradient + 2 * step])),
    dot(unpack2x16float(states[state + 3 * step]), unpack2x16float(dStates[gradient + 3 * step])),
  );
}

/** Of the pairs of 32 columns. */
fn passingUnit(index: u32, head: u32, unit: u32) -> f32 {
  let at = sizes.keyWidth * sizes.valueWidth / 2 + unit;
  let state = unpack2x16float(states[(index * sizes.heads + head) * stateWords() + at]).x;
  return exp2(state + unpack2x16float(dStates[((index - 1) * sizes.heads + head) * stateWords() + at]).x);
}

/** Of a row and two columns in front of the first chunk. */
fn passingFirst(sequence: u32, head: u32, row: u32, pair: u32) -> f32 {
  let at = ((sequence * sizes.heads + head) * sizes.keyWidth + row) * (sizes.valueWidth / 2) + pair;
  return dot(initial[at], dInitial[at]);
}
