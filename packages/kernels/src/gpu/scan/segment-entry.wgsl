// Adds to the states at a segment's borders what has come there of the state that enters the segment. An invocation has four
// values of a head's state.
const fromLast = 2u;

/** e^{b_C} of four channels. */
fn wholeDecays(chunk: Chunk, channels: vec4u) -> vec4f {
  if (gate == noGate) {
    return vec4f(1);
  }
  let end = i32(chunk.tokens) - 1;
  let first = decayBetween(sumThrough(chunk, end, channels.x), vec2f());
  if (gate == scalarGate) {
    return vec4f(first);
  }
  return vec4f(
    first,
    decayBetween(sumThrough(chunk, end, channels.y), vec2f()),
    decayBetween(sumThrough(chunk, end, channels.z), vec2f()),
    decayBetween(sumThrough(chunk, end, channels.w), vec2f()),
  );
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let own = segmentChunks[group.z];
  let size = sizes.keyWidth * sizes.valueWidth;
  let at = 1024 * group.x + local + 256 * vec4u(0, 1, 2, 3);
  let isThere = at < vec4u(size);
  // Behind the last value there is the last once more.
  let place = min(at, vec4u(size - 1));
  let channels = select(vec4u(group.y), group.y * sizes.keyWidth + place / sizes.valueWidth, gate == vectorGate);
  let entry = (group.z * sizes.heads + group.y) * size + place;
  var state = vec4f(entries[entry.x], entries[entry.y], entries[entry.z], entries[entry.w]);
  for (var n = 0u; n < own.y; n++) {
    let index = own.x + select(n, own.y - 1 - n, (sizes.extra & fromLast) != 0);
    let border = (index * sizes.heads + group.y) * size + place;
    let without = vec4f(states[border.x], states[border.y], states[border.z], states[border.w]);
    let whole = without + state;
    if (all((whole == without) | !isThere)) {
      break;
    }
    if (isThere.x) {
      states[border.x] = whole.x;
    }
    if (isThere.y) {
      states[border.y] = whole.y;
    }
    if (isThere.z) {
      states[border.z] = whole.z;
    }
    if (isThere.w) {
      states[border.w] = whole.w;
    }
    state *= wholeDecays(chunks[index], channels);
  }
}
