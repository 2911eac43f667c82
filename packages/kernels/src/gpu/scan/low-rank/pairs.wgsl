// Products of all pairs of a chunk's tokens, x_i · y_j, for one plane of those that planes.wgsl tells of (`extra`): 0 where there is
// no token. Nothing is decayed or masked yet. Scores are products of keys, their gradients those of the gradients of what
// readers get and the values that writers write.
override ofValues: bool;

fn innerWidth() -> u32 {
  return select(sizes.keyWidth, sizes.valueWidth, ofValues);
}

fn readX(chunk: Chunk, head: u32, row: u32, column: u32) -> vec4f {
  let token = row + rowsBefore(sizes.extra);
  let x = xAt((chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head, column);
  return select(vec4f(), x, token < chunk.tokens);
}

fn readY(chunk: Chunk, head: u32, token: u32, column: u32) -> vec4f {
  let y = yAt((chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head, column);
  return select(vec4f(), y, token < chunk.tokens);
}

/** 4 rows from `row` on, the inner index as the outer axis. */
fn blockX(chunk: Chunk, head: u32, row: u32, column: u32) -> mat4x4f {
  return transpose(mat4x4f(
    readX(chunk, head, row, column),
    readX(chunk, head, row + 1, column),
    readX(chunk, head, row + 2, column),
    readX(chunk, head, row + 3, column),
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
  // Each slice is on its way while the one before is multiplied.
  for (var first = 0u; first < innerWidth() + depth; first += depth) {
    let a = blockX(chunk, head, 4 * at.x, first + 4 * at.y);
    let b = blockY(chunk, head, 4 * at.x, first + 4 * at.y);
    if (first > 0) {
      multiplySlices(local);
    }
    if (first < innerWidth()) {
      keepSlices(local, a, at, b, at);
    }
  }
  for (var part = 0u; part < parts; part++) {
    let place = placeOf(local, part);
    scores[rowOfPlane(sizes.extra, groups.z, group.z, head, place.x) * quads + place.y / 4] = partOf(part);
  }
}
