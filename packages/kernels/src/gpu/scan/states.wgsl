// The state at each chunk's border, S ← e^{b_C} S + (X ⊙ decay)ᵀ Y from chunk to chunk; with a gate for each channel X comes
// decayed. Forward these are the states that enter the chunks, of X = K, Y = V. For the gradient of the state it goes from the
// last chunk to the first, with X = Q and Y = dO: what is kept are the gradients of the states that leave. A workgroup has a
// tile of one sequence's and head's state in registers.
const hasInitial = 1u;
const fromLast = 2u;

/** With one gate for all channels: of a chunk's tokens, to the border. */
var<workgroup> borderDecays: array<f32, tile>;

fn keepDecays(chunk: Chunk, head: u32, local: u32) {
  if (gate == scalarGate) {
    if (local < tile) {
      borderDecays[local] = borderDecay(chunk, min(local, chunk.tokens - 1), head);
    }
    workgroupBarrier();
  }
}

/** Not decayed yet, or, with a gate for each channel, already. */
fn readX(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let known = min(token, chunk.tokens - 1);
  let x = xAt((chunk.start + known) * sizes.heads + head, column);
  return select(vec4f(), sizes.stateScale * x, token < chunk.tokens);
}

/** Of 4 tokens from `token` on. */
fn decayed(x: mat4x4f, token: u32) -> mat4x4f {
  if (gate != scalarGate) {
    return x;
  }
  return mat4x4f(
    borderDecays[token] * x[0],
    borderDecays[token + 1] * x[1],
    borderDecays[token + 2] * x[2],
    borderDecays[token + 3] * x[3],
  );
}

fn readY(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let known = min(token, chunk.tokens - 1);
  let y = yAt((chunk.start + known) * sizes.heads + head, column);
  return select(vec4f(), y, token < chunk.tokens);
}

/** e^{b_C} of a row of the state. */
fn wholeDecay(chunk: Chunk, head: u32, row: u32) -> f32 {
  let channel = select(head, head * sizes.keyWidth + min(row, sizes.keyWidth - 1), gate == vectorGate);
  return decayBetween(sumThrough(chunk, i32(chunk.tokens) - 1, channel), vec2f());
}

/** 4 rows of X and of Y from `token` on. */
fn blockX(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    readX(chunk, head, token, column),
    readX(chunk, head, token + 1, column),
    readX(chunk, head, token + 2, column),
    readX(chunk, head, token + 3, column),
  );
}

fn blockY(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    readY(chunk, head, token, column),
    readY(chunk, head, token + 1, column),
    readY(chunk, head, token + 2, column),
    readY(chunk, head, token + 3, column),
  );
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

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let lane = group.z * sizes.heads + head;
  let own = sequenceChunks[group.z];
  let valueTiles = (sizes.valueWidth + tile - 1) / tile;
  let row0 = group.x / valueTiles * tile;
  let column0 = group.x % valueTiles * tile;
  let tile0 = vec2u(row0, column0);
  let at = alongEdge(local);

  for (var part = 0u; part < parts; part++) {
    setPart(part, start(lane, tile0 + placeOf(local, part)));
  }

  for (var n = 0u; n < own.y; n++) {
    let index = own.x + select(n, own.y - 1 - n, (sizes.extra & fromLast) != 0);
    let chunk = chunks[index];
    // Each slice is on its way while something else is done; behind the chunk's last token there are zeros.
    var a = blockX(chunk, head, 4 * at.y, row0 + 4 * at.x);
    var b = blockY(chunk, head, 4 * at.y, column0 + 4 * at.x);
    keepDecays(chunk, head, local);
    for (var part = 0u; part < parts; part++) {
      leave(index, head, tile0 + placeOf(local, part), partOf(part));
    }
    if (gate != noGate) {
      for (var part = 0u; part < parts; part++) {
        setPart(part, wholeDecay(chunk, head, row0 + placeOf(local, part).x) * partOf(part));
      }
    }
    for (var first = 0u; first < chunk.tokens; first += depth) {
      keepSlices(local, decayed(a, first + 4 * at.y), at, b, at);
      if (first + depth < chunk.tokens) {
        a = blockX(chunk, head, first + depth + 4 * at.y, row0 + 4 * at.x);
        b = blockY(chunk, head, first + depth + 4 * at.y, column0 + 4 * at.x);
      }
      multiplySlices(local);
    }
  }

  for (var part = 0u; part < parts; part++) {
    finish(lane, tile0 + placeOf(local, part), partOf(part));
  }
}
