// Products of all pairs of a chunk's tokens, x_i · y_j, for one plane of those that planes.wgsl tells of (`extra`): 0 where there is
// no token, and in the first 32 rows for the columns from 32 on, which nobody uses. Nothing is decayed or masked yet. Scores are products of keys, their gradients those of the gradients of what
// readers get and the values that writers write.
override ofValues: bool;

fn innerWidth() -> u32 {
  return select(sizes.keyWidth, sizes.valueWidth, ofValues);
}

fn rowOf(chunk: Chunk, head: u32, token: u32) -> u32 {
  return (chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head;
}

/** Token of a reader that a row has. */
fn readerOf(row: u32) -> u32 {
  return row + rowsBefore(sizes.extra);
}

/** 4 rows of readers from `row` on, and of writers. */
fn blockX(chunk: Chunk, head: u32, row: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    xNear(rowOf(chunk, head, readerOf(row)), column),
    xNear(rowOf(chunk, head, readerOf(row + 1)), column),
    xNear(rowOf(chunk, head, readerOf(row + 2)), column),
    xNear(rowOf(chunk, head, readerOf(row + 3)), column),
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
  let width = innerWidth();
  return mat4x4f(
    select(vec4f(), x[0], inner < width),
    select(vec4f(), x[1], inner + 1 < width),
    select(vec4f(), x[2], inner + 2 < width),
    select(vec4f(), x[3], inner + 3 < width),
  );
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
  let head = group.y;
  let at = alongInner(local);
  var a = blockX(chunk, head, 4 * at.x, 4 * at.y);
  var b = blockY(chunk, head, 4 * at.x, 4 * at.y);
  for (var first = 0u; first < innerWidth(); first += depth) {
    keepSlices(local, known(transpose(a), first + 4 * at.y), at, transpose(b), at);
    // The next slice is on its way while this one is multiplied.
    a = blockX(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    b = blockY(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    multiplyTriangle(local);
  }
  for (var part = 0u; part < parts; part++) {
    let place = placeOf(local, part);
    let isPair = (place.y + vec4u(0, 1, 2, 3) < vec4u(chunk.tokens)) & vec4<bool>(readerOf(place.x) < chunk.tokens);
    let row = rowOfPlane(sizes.extra, groups.z, group.z, head, place.x);
    scores[row * quads + place.y / 4] = select(vec4f(), tileSums[part], isPair);
  }
}
