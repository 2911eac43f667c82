// The state at each chunk's border, S ← e^{b_C} S + (X ⊙ decay)ᵀ Y from chunk to chunk; with a gate for each channel X comes
// decayed. Forward these are the states that enter the chunks, of X = K, Y = V. For the gradient of the state it goes from the
// last chunk to the first, with X = Q and Y = dO: what is kept are the gradients of the states that leave. A workgroup has a
// tile of one sequence's and head's state in registers.
const hasInitial = 1u;
const fromLast = 2u;
const hasLast = 4u;

/** Of a chunk's tokens to its border, with one gate for all channels; then of the rows of the state. */
var<workgroup> decays: array<f32, 2 * tile>;

/** decays[local] */
fn decayOf(chunk: Chunk, head: u32, row0: u32, local: u32) -> f32 {
  if (gate == noGate) {
    return 1;
  }
  if (local < tile) {
    if (gate == vectorGate) {
      return 1;
    }
    return borderDecay(chunk, min(local, chunk.tokens - 1), head);
  }
  let row = row0 + local - tile;
  let channel = select(head, head * sizes.keyWidth + min(row, sizes.keyWidth - 1), gate == vectorGate);
  return decayBetween(sumThrough(chunk, i32(chunk.tokens) - 1, channel), vec2f());
}

/** X of 4 tokens from `token` on: decayed, or, with a gate for each channel, as it comes; 0 behind the last. */
fn decayed(chunk: Chunk, x: mat4x4f, token: u32) -> mat4x4f {
  return mat4x4f(
    decayedRow(chunk, x[0], token),
    decayedRow(chunk, x[1], token + 1),
    decayedRow(chunk, x[2], token + 2),
    decayedRow(chunk, x[3], token + 3),
  );
}

fn decayedRow(chunk: Chunk, x: vec4f, token: u32) -> vec4f {
  var factor = sizes.stateScale;
  if (gate == scalarGate) {
    factor *= decays[token];
  }
  return select(vec4f(), factor * x, token < chunk.tokens);
}

fn rowOf(chunk: Chunk, head: u32, token: u32) -> u32 {
  return (chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head;
}

/** 4 rows of X and of Y from `token` on; behind the last token stands the last again. */
fn blockX(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    xNear(rowOf(chunk, head, token), column),
    xNear(rowOf(chunk, head, token + 1), column),
    xNear(rowOf(chunk, head, token + 2), column),
    xNear(rowOf(chunk, head, token + 3), column),
  );
}

fn blockY(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    yNear(rowOf(chunk, head, token), column),
    yNear(rowOf(chunk, head, token + 1), column),
    yNear(rowOf(chunk, head, token + 2), column),
    yNear(rowOf(chunk, head, token + 3), column),
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
  if ((sizes.extra & hasLast) != 0 && at.x < sizes.keyWidth) {
    putLast(lane * sizes.keyWidth + at.x, at.y, state);
  }
}

/** Blocks of X and Y. */
struct Blocks {
  x: mat4x4f,
  y: mat4x4f,
}

fn blocksAt(chunk: Chunk, head: u32, tile0: vec2u, token: u32, at: vec2u) -> Blocks {
  return Blocks(
    blockX(chunk, head, token + 4 * at.y, tile0.x + 4 * at.x),
    blockY(chunk, head, token + 4 * at.y, tile0.y + 4 * at.x),
  );
}

/** The n-th chunk on the way; behind the last one the last again. */
fn chunkAt(own: vec2u, n: u32) -> u32 {
  let known = min(n, own.y - 1);
  return own.x + select(known, own.y - 1 - known, (sizes.extra & fromLast) != 0);
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.y;
  let lane = group.z * sizes.heads + head;
  let own = sequenceChunks[group.z];
  let valueTiles = (sizes.valueWidth + tile - 1) / tile;
  let tile0 = tile * vec2u(group.x / valueTiles, group.x % valueTiles);
  let at = alongEdge(local, quads);

  for (var part = 0u; part < parts; part++) {
    tileSums[part] = start(lane, tile0 + placeOf(local, part));
  }

  if (own.y > 0) {
    // What a chunk needs is on its way while the one before is multiplied: the chunks follow one another, and each would wait.
    var chunk = chunks[chunkAt(own, 0)];
    var following = chunks[chunkAt(own, 1)];
    var first = blocksAt(chunk, head, tile0, 0, at);
    var second = blocksAt(chunk, head, tile0, depth, at);
    decays[local] = decayOf(chunk, head, tile0.x, local);
    if (gate != noGate) {
      workgroupBarrier();
    }
    for (var n = 0u; n < own.y; n++) {
      keepSlices(local, decayed(chunk, first.x, 4 * at.y), at, first.y, at);
      first = blocksAt(following, head, tile0, 0, at);
      let nextDecay = decayOf(following, head, tile0.x, local);
      let index = chunkAt(own, n);
      for (var part = 0u; part < parts; part++) {
        let place = placeOf(local, part);
        leave(index, head, tile0 + place, tileSums[part]);
        if (gate != noGate) {
          tileSums[part] *= decays[tile + place.x];
        }
      }
      multiplySlices(local);
      keepSlices(local, decayed(chunk, second.x, depth + 4 * at.y), at, second.y, at);
      second = blocksAt(following, head, tile0, depth, at);
      decays[local] = nextDecay;
      chunk = following;
      following = chunks[chunkAt(own, n + 2)];
      multiplySlices(local);
    }
  }

  for (var part = 0u; part < parts; part++) {
    finish(lane, tile0 + placeOf(local, part), tileSums[part]);
  }
}
