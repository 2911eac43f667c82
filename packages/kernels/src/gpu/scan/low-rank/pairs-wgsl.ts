// The text of products of all pairs of a chunk's tokens, x_i · y_j, for both kinds of readers x and one kind of writers y: two planes
// (planes.wgsl). They are 0 where there is no token, and in the first 32 rows for the columns from 32 on, which nobody uses. Nothing is
// decayed or masked yet. Scores are products of keys, their gradients those of the gradients of what readers get and the values that
// writers write.

/**
 * Sums of one kind of readers. Each kind has a loop of its own, because a driver waits for what is read within a branch: which
 * tensor is read is decided in front of the loop.
 */
const sumPairs = (reader: number): string => `
/** 4 rows from \`row\` on. */
fn blockX${reader}(chunk: Chunk, head: u32, row: u32, column: u32) -> mat4x4f {
  let token = row + rowsBefore(${reader});
  return mat4x4f(
    x${reader}Near(rowOf(chunk, head, token), column),
    x${reader}Near(rowOf(chunk, head, token + 1), column),
    x${reader}Near(rowOf(chunk, head, token + 2), column),
    x${reader}Near(rowOf(chunk, head, token + 3), column),
  );
}

fn sumPairs${reader}(chunk: Chunk, head: u32, local: u32) {
  let at = alongInner(local);
  var a = blockX${reader}(chunk, head, 4 * at.x, 4 * at.y);
  var b = blockY(chunk, head, 4 * at.x, 4 * at.y);
  for (var first = 0u; first < sizes.extra; first += depth) {
    keepSlices(local, known(transpose(a), first + 4 * at.y), at, transpose(b), at);
    // The next slice is on its way while this one is multiplied.
    a = blockX${reader}(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    b = blockY(chunk, head, 4 * at.x, first + depth + 4 * at.y);
    multiplyTriangle(local);
  }
}`;

export const pairsWgsl = `
override writer: u32;

fn rowOf(chunk: Chunk, head: u32, token: u32) -> u32 {
  return (chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head;
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
${sumPairs(0)}
${sumPairs(1)}

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
  if (group.x == 0) {
    sumPairs0(chunk, head, local);
  } else {
    sumPairs1(chunk, head, local);
  }
  let plane = group.x + 2 * writer;
  for (var part = 0u; part < parts; part++) {
    let place = placeOf(local, part);
    let token = place.x + rowsBefore(plane);
    let isPair = (place.y + vec4u(0, 1, 2, 3) < vec4u(chunk.tokens)) & vec4<bool>(token < chunk.tokens);
    let row = rowOfPlane(plane, groups.z, group.z, head, place.x);
    scores[row * quads + place.y / 4] = select(vec4f(), tileSums[part], isPair);
  }
}`;
