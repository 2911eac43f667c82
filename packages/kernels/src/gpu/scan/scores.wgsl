// Products of all pairs of a chunk's tokens, P_ij = x_i · y_j: [chunk, head, i, j], 0 where there is no token. Nothing is decayed
// or masked yet.

fn readX(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let known = min(token, chunk.tokens - 1);
  let x = xAt((chunk.start + known) * sizes.heads + head, column);
  return select(vec4f(), x, token < chunk.tokens);
}

fn readY(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let known = min(token, chunk.tokens - 1);
  let y = yAt((chunk.start + known) * sizes.heads + head, column);
  return select(vec4f(), y, token < chunk.tokens);
}

/** 4 rows of x from `token` on, and of y, k as the outer axis. */
fn blockX(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return transpose(mat4x4f(
    readX(chunk, head, token, column),
    readX(chunk, head, token + 1, column),
    readX(chunk, head, token + 2, column),
    readX(chunk, head, token + 3, column),
  ));
}

fn blockY(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return transpose(mat4x4f(
    readY(chunk, head, token, column),
    readY(chunk, head, token + 1, column),
    readY(chunk, head, token + 2, column),
    readY(chunk, head, token + 3, column),
  ));
}

fn finish(chunkIndex: u32, head: u32, place: vec2u, sum: vec4f) {
  scores[((chunkIndex * sizes.heads + head) * tile + place.x) * quads + place.y / 4] = sum;
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
    keepSlices(local, a, at, b, at);
    // The next slice is on its way while this one is multiplied; behind the last there are zeros.
    a = blockX(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    b = blockY(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    multiplySlices(local);
  }
  for (var part = 0u; part < parts; part++) {
    finish(group.z, head, placeOf(local, part), partOf(part));
  }
}
