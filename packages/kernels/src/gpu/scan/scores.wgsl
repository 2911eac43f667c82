// Products of all pairs of a chunk's tokens, P_ij = x_i · y_j: [chunk, head, i, j], 0 where there is no token, and in the first 32
// rows for the columns from 32 on, which nobody uses. Nothing is decayed or masked yet.

fn rowOf(chunk: Chunk, head: u32, token: u32) -> u32 {
  return (chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head;
}

/** 4 rows of x from `token` on, and of y. */
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

/** Inner index by inner index, 0 behind the last. */
fn known(x: mat4x4f, inner: u32) -> mat4x4f {
  return mat4x4f(
    select(vec4f(), x[0], inner < sizes.extra),
    select(vec4f(), x[1], inner + 1 < sizes.extra),
    select(vec4f(), x[2], inner + 2 < sizes.extra),
    select(vec4f(), x[3], inner + 3 < sizes.extra),
  );
}

fn finish(chunk: Chunk, chunkIndex: u32, head: u32, place: vec2u, sum: vec4f) {
  let isPair = (place.y + vec4u(0, 1, 2, 3) < vec4u(chunk.tokens)) & vec4<bool>(place.x < chunk.tokens);
  scores[((chunkIndex * sizes.heads + head) * tile + place.x) * quads + place.y / 4] = select(vec4f(), sum, isPair);
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let at = alongInner(local);
  var a = blockX(chunk, head, 4 * at.x, 4 * at.y);
  var b = blockY(chunk, head, 4 * at.x, 4 * at.y);
  for (var first = 0u; first < sizes.extra; first += depth) {
    keepSlices(local, known(transpose(a), first + 4 * at.y), at, transpose(b), at);
    // The next slice is on its way while this one is multiplied.
    a = blockX(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    b = blockY(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    multiplyTriangle(local);
  }
  for (var part = 0u; part < parts; part++) {
    finish(chunk, group.z, head, placeOf(local, part), tileSums[part]);
  }
}
