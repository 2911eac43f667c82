// What tokens get from the state at their chunk's border and, by one or two planes of scores (planes.wgsl), from the chunk's
// other tokens. As a reader i, or as a writer j (`toEnd`), whose scores are those with the readers behind it:
//
//     z_i = α · decay_i ⊙ (x_i S) + Σ_planes Σ_j P_ij e^{b_i − b_j} y_j
//     z_j = α · decay_j ⊙ (x_j S) + Σ_planes Σ_i P_ij e^{b_i − b_j} y_i
//
// Outputs are that of (x, y) = (q, values). So are the gradients: of q and a of the transposed state, the gradients of what
// they read, and the keys; of values and keys of the gradient of the state. Queries' scores are scaled. A workgroup makes 64
// or 128 columns of one chunk and head (reads-product.wgsl).
//
// With one gate for each key channel P holds the decay already where S is not transposed; where it is, all decay differs by
// column, and is left to pull.wgsl together with the sum over tokens.

/** With one gate for all channels: b of tokens. */
var<workgroup> tokenSums: array<vec2f, tile>;

fn tokenSum(chunk: Chunk, head: u32, token: u32) -> vec2f {
  return tokenSums[token];
}

/** `extra` is a role times the tiles of a key, as state-dots.wgsl needs it. Those that have one plane alone go without the state. */
fn roleOf() -> u32 {
  return sizes.extra / ((sizes.keyWidth + tile - 1) / tile);
}

/** The token through whose gate x_i is decayed, or from behind which to the chunk's end; −1 before the first. */
fn decayedToken(token: u32) -> i32 {
  return i32(token) - i32(select(rowsBefore(planesOf(roleOf()).x), 0u, sizes.toEnd != 0));
}

fn keepDecays(chunk: Chunk, head: u32, local: u32) {
  if (gate == scalarGate) {
    if (local < tile) {
      let known = min(local, chunk.tokens - 1);
      borderDecays[local] = decaysTo(chunk, head, decayedToken(known), 0, sizes.toEnd != 0).x;
      tokenSums[local] = sumThrough(chunk, i32(known), head);
    }
    workgroupBarrier();
  }
}

/** With one gate for each channel decayed already, where that can be done before the product. */
fn readX(place: Place, token: u32, column: u32) -> vec4f {
  let x = xNear(rowOf(place, token), column);
  if (gate != vectorGate || transposed) {
    return x;
  }
  let known = min(token, place.chunk.tokens - 1);
  return x * decaysTo(place.chunk, place.head, decayedToken(known), column, sizes.toEnd != 0);
}

fn readY(place: Place, term: u32, token: u32, column: u32) -> vec4f {
  let row = rowOf(place, token);
  if (term == 1) {
    return y1Near(row, column);
  }
  return y0Near(row, column);
}

fn readScores(place: Place, plane: u32, reader: u32, writer: u32) -> vec4f {
  return scoresNear(plane, place.chunks, place.chunk, place.chunkIndex, place.head, reader, writer);
}

fn decayedScores(place: Place, plane: u32, scores: vec4f, reader: u32, writer: u32) -> vec4f {
  let scale = select(sizes.scoreScale, 1f, isRecall(plane));
  return scale * metScores(scores, plane, place.chunk, place.head, reader, writer);
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
  let place = Place(chunk, group.z, groups.z, group.y, group.x * tileColumns, local);
  keepDecays(chunk, group.y, local);
  if (roleOf() < 4) {
    addStates(place);
    afterState(chunk, group.y, group.x, local);
  }
  let planes = planesOf(roleOf());
  if (!(gate == vectorGate && transposed)) {
    addScores(place, planes.x, 0);
    if (planes.y != noPlane) {
      addScores(place, planes.y, 1);
    }
  }
  finish(place);
}
