// What tokens get from the state at their chunk's border and from the chunk's other tokens: with rows i of x, y, z, and the
// scores P,
//
//     z_i = α · decay_i ⊙ (x_i S) + β · Σ_j P_ij e^{b_i − b_j} y_j        j ≤ i
//
// Outputs are that of (x, y) = (q, v). So are the gradients: of q of (dO, k) with Sᵀ for S; of v and k, which look to the
// chunk's end (`toEnd`: j ≥ i, P_ji, e^{b_j − b_i}, and the gradient of the state for S), of (k, dO) and (v, q). A
// workgroup makes 64 columns of one chunk and head.
//
// With one gate for each key channel P holds the decay already where S is not transposed; where it is, all decay differs by
// column, and is left to pull.wgsl together with the sum over tokens.
/** z has the key's width: S is read along its other axis. */
override transposed: bool;

fn innerWidth() -> u32 {
  return select(sizes.keyWidth, sizes.valueWidth, transposed);
}

fn outerWidth() -> u32 {
  return select(sizes.valueWidth, sizes.keyWidth, transposed);
}

/** x_i, decayed where that can be done before the product. */
fn readX(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  if (token >= chunk.tokens) {
    return vec4f();
  }
  let x = sizes.stateScale * xAt((chunk.start + token) * sizes.heads + head, column);
  if (gate == vectorGate && transposed) {
    return x;
  }
  return x * borderDecays(chunk, token, head, column);
}

fn readState(chunkIndex: u32, head: u32, key: u32, value: u32) -> vec4f {
  if (key >= sizes.keyWidth) {
    return vec4f();
  }
  return statesAt((chunkIndex * sizes.heads + head) * sizes.keyWidth + key, value);
}

/** P of reader i = `row` and the writers j from `column` on; 0 where the writer is not there yet. */
fn readScores(chunk: Chunk, chunkIndex: u32, head: u32, row: u32, column: u32) -> vec4f {
  if (row >= chunk.tokens) {
    return vec4f();
  }
  let writers = column + vec4u(0, 1, 2, 3);
  var values = sizes.scoreScale * scores[((chunkIndex * sizes.heads + head) * tile + row) * quads + column / 4];
  if (gate == scalarGate) {
    let reader = sumThrough(chunk, i32(row), head);
    let known = min(writers, vec4u(row));
    values *= vec4f(
      decayBetween(reader, sumThrough(chunk, i32(known.x), head)),
      decayBetween(reader, sumThrough(chunk, i32(known.y), head)),
      decayBetween(reader, sumThrough(chunk, i32(known.z), head)),
      decayBetween(reader, sumThrough(chunk, i32(known.w), head)),
    );
  }
  return select(vec4f(), values, writers <= vec4u(row));
}

fn readY(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  if (token >= chunk.tokens) {
    return vec4f();
  }
  return yAt((chunk.start + token) * sizes.heads + head, column);
}

fn blockX(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  var block: mat4x4f;
  for (var r = 0u; r < 4; r++) {
    block[r] = readX(chunk, head, token + r, column);
  }
  return block;
}

fn blockState(chunkIndex: u32, head: u32, key: u32, value: u32) -> mat4x4f {
  var block: mat4x4f;
  for (var r = 0u; r < 4; r++) {
    block[r] = readState(chunkIndex, head, key + r, value);
  }
  return block;
}

fn blockScores(chunk: Chunk, chunkIndex: u32, head: u32, row: u32, column: u32) -> mat4x4f {
  var block: mat4x4f;
  for (var r = 0u; r < 4; r++) {
    block[r] = readScores(chunk, chunkIndex, head, row + r, column);
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

fn finish(chunk: Chunk, head: u32, column0: u32, place: vec2u, sum: vec4f) {
  if (place.x < chunk.tokens) {
    putZ((chunk.start + place.x) * sizes.heads + head, column0 + place.y, sum);
  }
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let column0 = group.x * tile;
  let edge = alongEdge(local);
  let inner = alongInner(local);

  for (var first = 0u; first < innerWidth(); first += depth) {
    let a = transpose(blockX(chunk, head, 4 * inner.x, first + 4 * inner.y));
    if (transposed) {
      let b = transpose(blockState(group.z, head, column0 + 4 * inner.x, first + 4 * inner.y));
      keepSlices(a, inner, b, inner);
    } else {
      let b = blockState(group.z, head, first + 4 * edge.y, column0 + 4 * edge.x);
      keepSlices(a, inner, b, edge);
    }
    multiplySlices(local);
  }
  afterState(chunk, head, group.x, local);

  if (!(gate == vectorGate && transposed)) {
    for (var first = 0u; first < chunk.tokens; first += depth) {
      let b = blockY(chunk, head, first + 4 * edge.y, column0 + 4 * edge.x);
      if (sizes.toEnd != 0) {
        let a = blockScores(chunk, group.z, head, first + 4 * edge.y, 4 * edge.x);
        keepSlices(a, edge, b, edge);
      } else {
        let a = transpose(blockScores(chunk, group.z, head, 4 * inner.x, first + 4 * inner.y));
        keepSlices(a, inner, b, edge);
      }
      multiplySlices(local);
    }
  }

  for (var part = 0u; part < 16; part++) {
    finish(chunk, head, column0, placeOf(local, part), partOf(part));
  }
}
