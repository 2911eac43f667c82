// The state at each chunk's border, S ← e^{b_C} S + (X ⊙ decay)ᵀ Y from chunk to chunk. Forward these are the states that enter the
// chunks, of X = K, Y = V. For the gradient of the state it goes from the last chunk to the first, with X = Q and Y = dO: what
// is kept are the gradients of the states that leave. A workgroup has a tile of one sequence's and head's state
// in registers.
const hasInitial = 1u;
const fromLast = 2u;

fn readX(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  if (token >= chunk.tokens) {
    return vec4f();
  }
  let x = xAt((chunk.start + token) * sizes.heads + head, column);
  return sizes.stateScale * x * borderDecays(chunk, token, head, column);
}

fn readY(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  if (token >= chunk.tokens) {
    return vec4f();
  }
  return yAt((chunk.start + token) * sizes.heads + head, column);
}

/** e^{b_C} of 4 rows of the state from `row` on. */
fn wholeDecays(chunk: Chunk, head: u32, row: u32) -> vec4f {
  var decays: vec4f;
  for (var r = 0u; r < 4; r++) {
    let channel = select(head, head * sizes.keyWidth + min(row + r, sizes.keyWidth - 1), gate == vectorGate);
    decays[r] = decayBetween(sumThrough(chunk, i32(chunk.tokens) - 1, channel), vec2f());
  }
  return decays;
}

/** 4 rows of X and of Y from `token` on. */
fn blockX(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  var block: mat4x4f;
  for (var r = 0u; r < 4; r++) {
    block[r] = readX(chunk, head, token + r, column);
  }
  return block;
}

fn blockY(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  var block: mat4x4f;
  for (var r = 0u; r < 4; r++) {
    block[r] = readY(chunk, head, token + r, column);
  }
  return block;
}

fn start(lane: u32, at: vec2u) -> vec4f {
  if ((sizes.extra & hasInitial) == 0 || at.x >= sizes.keyWidth) {
    return vec4f();
  }
  return initialAt(lane * sizes.keyWidth + at.x, at.y);
}

/** Leaves the state at the chunk's border. */
fn leave(chunkIndex: u32, head: u32, at: vec2u, state: vec4f) {
  if (at.x < sizes.keyWidth) {
    putStates((chunkIndex * sizes.heads + head) * sizes.keyWidth + at.x, at.y, state);
  }
}

fn finish(lane: u32, at: vec2u, state: vec4f) {
  if (at.x < sizes.keyWidth) {
    putLast(lane * sizes.keyWidth + at.x, at.y, state);
  }
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let lane = group.z * sizes.heads + head;
  let own = sequenceChunks[group.z];
  let valueTiles = (sizes.valueWidth + tile - 1) / tile;
  let row0 = group.x / valueTiles * tile;
  let column0 = group.x % valueTiles * tile;
  let tile0 = vec2u(row0, column0);
  let at = alongEdge(local);

  for (var part = 0u; part < 16; part++) {
    setPart(part, start(lane, tile0 + placeOf(local, part)));
  }

  for (var n = 0u; n < own.y; n++) {
    let index = own.x + select(n, own.y - 1 - n, (sizes.extra & fromLast) != 0);
    let chunk = chunks[index];
    // Each slice is on its way while something else is done; behind the chunk's last token there are zeros.
    var a = blockX(chunk, head, 4 * at.y, row0 + 4 * at.x);
    var b = blockY(chunk, head, 4 * at.y, column0 + 4 * at.x);
    for (var part = 0u; part < 16; part++) {
      leave(index, head, tile0 + placeOf(local, part), partOf(part));
    }
    if (gate != noGate) {
      let row = row0 + placeOf(local, 0).x;
      scaleRows(wholeDecays(chunk, head, row), wholeDecays(chunk, head, row + 32));
    }
    for (var first = 0u; first < chunk.tokens; first += depth) {
      keepSlices(a, at, b, at);
      a = blockX(chunk, head, first + depth + 4 * at.y, row0 + 4 * at.x);
      b = blockY(chunk, head, first + depth + 4 * at.y, column0 + 4 * at.x);
      multiplySlices(local);
    }
  }

  for (var part = 0u; part < 16; part++) {
    finish(lane, tile0 + placeOf(local, part), partOf(part));
  }
}
