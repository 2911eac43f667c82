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

/** With one gate for all channels: of tokens, the decay to the border, and b. */
var<workgroup> borderDecays: array<f32, tile>;
var<workgroup> tokenSums: array<vec2f, tile>;

fn keepDecays(chunk: Chunk, head: u32, local: u32) {
  if (gate == scalarGate) {
    if (local < tile) {
      let known = min(local, chunk.tokens - 1);
      borderDecays[local] = borderDecay(chunk, known, head);
      tokenSums[local] = sumThrough(chunk, i32(known), head);
    }
    workgroupBarrier();
  }
}

/** x_i, not decayed yet; with a gate for each channel x comes decayed, or all decay is left to pull.wgsl. */
fn readX(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let known = min(token, chunk.tokens - 1);
  let x = xAt((chunk.start + known) * sizes.heads + head, column);
  return select(vec4f(), sizes.stateScale * x, token < chunk.tokens);
}

/** Of 4 tokens from `token` on, inner index by inner index. */
fn decayed(x: mat4x4f, token: u32) -> mat4x4f {
  if (gate != scalarGate) {
    return x;
  }
  let decays = vec4f(
    borderDecays[token],
    borderDecays[token + 1],
    borderDecays[token + 2],
    borderDecays[token + 3],
  );
  return mat4x4f(decays * x[0], decays * x[1], decays * x[2], decays * x[3]);
}

fn readState(chunkIndex: u32, head: u32, key: u32, value: u32) -> vec4f {
  let known = min(key, sizes.keyWidth - 1);
  let state = statesAt((chunkIndex * sizes.heads + head) * sizes.keyWidth + known, value);
  return select(vec4f(), state, key < sizes.keyWidth);
}

/** P of reader i = `row` and the writers j from `column` on; 0 where the writer is not there yet. */
fn readScores(chunk: Chunk, chunkIndex: u32, head: u32, row: u32, column: u32) -> vec4f {
  let writers = column + vec4u(0, 1, 2, 3);
  var values = sizes.scoreScale * scores[((chunkIndex * sizes.heads + head) * tile + row) * quads + column / 4];
  if (gate == scalarGate) {
    let last = min(row, chunk.tokens - 1);
    let reader = tokenSums[last];
    let known = min(writers, vec4u(last));
    values *= vec4f(
      decayBetween(reader, tokenSums[known.x]),
      decayBetween(reader, tokenSums[known.y]),
      decayBetween(reader, tokenSums[known.z]),
      decayBetween(reader, tokenSums[known.w]),
    );
  }
  return select(vec4f(), values, (writers <= vec4u(row)) & vec4<bool>(row < chunk.tokens));
}

fn readY(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let known = min(token, chunk.tokens - 1);
  let y = yAt((chunk.start + known) * sizes.heads + head, column);
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

fn blockScores(chunk: Chunk, chunkIndex: u32, head: u32, row: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    readScores(chunk, chunkIndex, head, row, column),
    readScores(chunk, chunkIndex, head, row + 1, column),
    readScores(chunk, chunkIndex, head, row + 2, column),
    readScores(chunk, chunkIndex, head, row + 3, column),
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

fn finish(chunk: Chunk, head: u32, column0: u32, place: vec2u, sum: vec4f) {
  if (place.x < chunk.tokens) {
    putZ((chunk.start + place.x) * sizes.heads + head, column0 + place.y, sum);
  }
}

/** A slice of x and of the state from `first` on. */
struct Slices {
  a: mat4x4f,
  b: mat4x4f,
}

fn stateSlices(chunk: Chunk, chunkIndex: u32, head: u32, column0: u32, local: u32, first: u32) -> Slices {
  let edge = alongEdge(local);
  let inner = alongInner(local);
  let a = transpose(blockX(chunk, head, 4 * inner.x, first + 4 * inner.y));
  if (transposed) {
    return Slices(a, transpose(blockState(chunkIndex, head, column0 + 4 * inner.x, first + 4 * inner.y)));
  }
  return Slices(a, blockState(chunkIndex, head, first + 4 * edge.y, column0 + 4 * edge.x));
}

/** A slice of the scores and of y. */
fn scoreSlices(chunk: Chunk, chunkIndex: u32, head: u32, column0: u32, local: u32, first: u32) -> Slices {
  let edge = alongEdge(local);
  let inner = alongInner(local);
  let b = blockY(chunk, head, first + 4 * edge.y, column0 + 4 * edge.x);
  if (sizes.toEnd != 0) {
    return Slices(blockScores(chunk, chunkIndex, head, first + 4 * edge.y, 4 * edge.x), b);
  }
  return Slices(transpose(blockScores(chunk, chunkIndex, head, 4 * inner.x, first + 4 * inner.y)), b);
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let column0 = group.x * tile;
  let edge = alongEdge(local);
  let inner = alongInner(local);

  // Each slice is on its way while the one before is multiplied.
  var next = stateSlices(chunk, group.z, head, column0, local, 0);
  keepDecays(chunk, head, local);
  for (var first = 0u; first < innerWidth(); first += depth) {
    let a = decayed(next.a, 4 * inner.x);
    if (transposed) {
      keepSlices(local, a, inner, next.b, inner);
    } else {
      keepSlices(local, a, inner, next.b, edge);
    }
    if (first + depth < innerWidth()) {
      next = stateSlices(chunk, group.z, head, column0, local, first + depth);
    }
    multiplySlices(local);
  }
  afterState(chunk, head, group.x, local);

  if (!(gate == vectorGate && transposed)) {
    next = scoreSlices(chunk, group.z, head, column0, local, 0);
    for (var first = 0u; first < chunk.tokens; first += depth) {
      if (sizes.toEnd != 0) {
        keepSlices(local, next.a, edge, next.b, edge);
      } else {
        keepSlices(local, next.a, inner, next.b, edge);
      }
      if (first + depth < chunk.tokens) {
        next = scoreSlices(chunk, group.z, head, column0, local, first + depth);
      }
      multiplySlices(local);
    }
  }

  for (var part = 0u; part < parts; part++) {
    finish(chunk, head, column0, placeOf(local, part), partOf(part));
  }
}
