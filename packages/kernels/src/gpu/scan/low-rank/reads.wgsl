// What tokens get from the state at their chunk's border and, by one or two planes of scores (planes.wgsl), from the chunk's
// other tokens. As a reader i, or as a writer j (`toEnd`), whose scores are those with the readers behind it:
//
//     z_i = α · decay_i ⊙ (x_i S) + Σ_planes Σ_j P_ij e^{b_i − b_j} y_j
//     z_j = α · decay_j ⊙ (x_j S) + Σ_planes Σ_i P_ij e^{b_i − b_j} y_i
//
// Outputs are that of (x, y) = (q, values). So are the gradients: of q and a of the transposed state, the gradients of what
// they read, and the keys; of values and keys of the gradient of the state. Queries' scores are scaled. A workgroup makes 64
// columns of one chunk and head.
//
// With one gate for each key channel P holds the decay already where S is not transposed; where it is, all decay differs by
// column, and is left to pull.wgsl together with the sum over tokens.
override transposed: bool;

/** `extra` is a role times the tiles of a key, as state-dots.wgsl needs it. Those that have one plane alone go without the state. */
fn roleOf() -> u32 {
  return sizes.extra / ((sizes.keyWidth + tile - 1) / tile);
}

fn innerWidth() -> u32 {
  return select(sizes.keyWidth, sizes.valueWidth, transposed);
}

/** x_i, decayed where that can be done before the product. */
fn readX(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let known = min(token, chunk.tokens - 1);
  var x = sizes.stateScale * xAt((chunk.start + known) * sizes.heads + head, column);
  if (gate != noGate && !(gate == vectorGate && transposed)) {
    let toEnd = sizes.toEnd != 0;
    let before = select(rowsBefore(planesOf(roleOf()).x), 0u, toEnd);
    x *= decaysTo(chunk, head, i32(known) - i32(before), column, toEnd);
  }
  return select(vec4f(), x, token < chunk.tokens);
}

fn readState(chunkIndex: u32, head: u32, key: u32, value: u32) -> vec4f {
  let known = min(key, sizes.keyWidth - 1);
  let state = statesAt((chunkIndex * sizes.heads + head) * sizes.keyWidth + known, value);
  return select(vec4f(), state, key < sizes.keyWidth);
}

fn readScores(plane: u32, chunks: u32, chunk: Chunk, chunkIndex: u32, head: u32, reader: u32, column: u32) -> vec4f {
  let values = decayedScores(plane, chunks, chunk, chunkIndex, head, reader, column);
  return select(sizes.scoreScale * values, values, isRecall(plane));
}

fn readY0(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let y = y0At((chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head, column);
  return select(vec4f(), y, token < chunk.tokens);
}

fn readY1(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let y = y1At((chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head, column);
  return select(vec4f(), y, token < chunk.tokens);
}

fn blockX(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    readX(chunk, head, token, column),
    readX(chunk, head, token + 1, column),
    readX(chunk, head, token + 2, column),
    readX(chunk, head, token + 3, column),
  );
}

fn blockState(chunkIndex: u32, head: u32, key: u32, value: u32) -> mat4x4f {
  return mat4x4f(
    readState(chunkIndex, head, key, value),
    readState(chunkIndex, head, key + 1, value),
    readState(chunkIndex, head, key + 2, value),
    readState(chunkIndex, head, key + 3, value),
  );
}

fn blockScores(plane: u32, chunks: u32, chunk: Chunk, chunkIndex: u32, head: u32, reader: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    readScores(plane, chunks, chunk, chunkIndex, head, reader, column),
    readScores(plane, chunks, chunk, chunkIndex, head, reader + 1, column),
    readScores(plane, chunks, chunk, chunkIndex, head, reader + 2, column),
    readScores(plane, chunks, chunk, chunkIndex, head, reader + 3, column),
  );
}

fn blockY(term: u32, chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  if (term == 1) {
    return mat4x4f(
      readY1(chunk, head, token, column),
      readY1(chunk, head, token + 1, column),
      readY1(chunk, head, token + 2, column),
      readY1(chunk, head, token + 3, column),
    );
  }
  return mat4x4f(
    readY0(chunk, head, token, column),
    readY0(chunk, head, token + 1, column),
    readY0(chunk, head, token + 2, column),
    readY0(chunk, head, token + 3, column),
  );
}

/** A slice of x and of the state, or of the scores and of y. */
struct Slices {
  a: mat4x4f,
  b: mat4x4f,
}

/** What a workgroup and an invocation in it are. */
struct Place {
  chunk: Chunk,
  chunkIndex: u32,
  /** Of all sequences. */
  chunks: u32,
  head: u32,
  column0: u32,
  local: u32,
}

fn stateSlices(place: Place, first: u32) -> Slices {
  let edge = alongEdge(place.local);
  let inner = alongInner(place.local);
  let a = transpose(blockX(place.chunk, place.head, 4 * inner.x, first + 4 * inner.y));
  if (transposed) {
    let at = vec2u(place.column0 + 4 * inner.x, first + 4 * inner.y);
    return Slices(a, transpose(blockState(place.chunkIndex, place.head, at.x, at.y)));
  }
  let at = vec2u(first + 4 * edge.y, place.column0 + 4 * edge.x);
  return Slices(a, blockState(place.chunkIndex, place.head, at.x, at.y));
}

fn scoreSlices(place: Place, term: u32, plane: u32, first: u32) -> Slices {
  let edge = alongEdge(place.local);
  let inner = alongInner(place.local);
  let at = select(vec2u(4 * inner.x, first + 4 * inner.y), vec2u(first + 4 * edge.y, 4 * edge.x), sizes.toEnd != 0);
  let a = blockScores(plane, place.chunks, place.chunk, place.chunkIndex, place.head, at.x, at.y);
  let b = blockY(term, place.chunk, place.head, first + 4 * edge.y, place.column0 + 4 * edge.x);
  if (sizes.toEnd != 0) {
    return Slices(a, b);
  }
  return Slices(transpose(a), b);
}

@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let place = Place(chunk, group.z, groups.z, group.y, group.x * tile, local);
  let edge = alongEdge(local);
  let inner = alongInner(local);

  // Each slice is on its way while the one before is multiplied.
  if (roleOf() < 4) {
    for (var first = 0u; first < innerWidth() + depth; first += depth) {
      let next = stateSlices(place, first);
      if (first > 0) {
        multiplySlices(local);
      }
      if (first < innerWidth()) {
        if (transposed) {
          keepSlices(local, next.a, inner, next.b, inner);
        } else {
          keepSlices(local, next.a, inner, next.b, edge);
        }
      }
    }
    afterState(chunk, place.head, group.x, local);
  }

  let planes = planesOf(roleOf());
  for (var term = 0u; term < 2; term++) {
    let plane = select(planes.x, planes.y, term == 1);
    if (plane == noPlane || (gate == vectorGate && transposed)) {
      continue;
    }
    for (var first = 0u; first < chunk.tokens + depth; first += depth) {
      let next = scoreSlices(place, term, plane, min(first, tile - depth));
      if (first > 0) {
        multiplySlices(local);
      }
      if (first < chunk.tokens) {
        if (sizes.toEnd != 0) {
          keepSlices(local, next.a, edge, next.b, edge);
        } else {
          keepSlices(local, next.a, inner, next.b, edge);
        }
      }
    }
  }

  for (var part = 0u; part < parts; part++) {
    let at = placeOf(local, part);
    if (at.x < chunk.tokens) {
      putZ((chunk.start + at.x) * sizes.heads + place.head, place.column0 + at.y, partOf(part));
    }
  }
}
