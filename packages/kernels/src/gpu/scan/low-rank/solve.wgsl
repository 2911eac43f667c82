// What the tokens of a chunk correct in each other's writes is a triangular system. With N the decayed scores of recall keys
// a and write keys b, and T = (I − N)^{-1}, a workgroup makes the rows
//
//     [ T (A ⊙ e^ρ) | T Y | B ⊙ e^{b_C − b} | K ⊙ e^{b_C − b} ]
//
// of one chunk and head, from which states.wgsl goes from chunk to chunk; the last part only where there are writes besides
// those at b. For the gradient (`turned`) the chunk is read from its last token to its first, which makes Tᵀ lower
// triangular, and what looks to the chunk's start and to its end changes places:
//
//     [ Tᵀ (B ⊙ e^{b_C − b}) | Tᵀ Y | A ⊙ e^ρ | scale · Q ⊙ e^b ]
//
// Every part is filled up with zeros to whole vectors. `extra` is the width of all of them, in vectors.
//
// T itself is never formed: rows are found by substitution, each from the solved ones before it. Where keys are correlated
// the rounding of T makes errors two to three times as large, and products (I + N)(I + N²)… lose all digits.
override turned: bool;
/** The values of the solution are known: they are Y, and the first part is left out. */
override isSolved: bool;

/** N, by rows of 16 vectors. */
var<workgroup> matrix: array<vec4f, 1024>;

fn tokenOf(unknown: u32) -> u32 {
  return select(unknown, 63 - unknown, turned);
}

fn tokenSum(chunk: Chunk, head: u32, token: u32) -> vec2f {
  return sumThrough(chunk, i32(token), head);
}

fn recallScores(chunks: u32, chunk: Chunk, chunkIndex: u32, head: u32, reader: u32, column: u32) -> vec4f {
  return metScores(scoresNear(1, chunks, chunk, chunkIndex, head, reader, column), 1, chunk, head, reader, column);
}

fn load(chunk: Chunk, chunkIndex: u32, chunks: u32, head: u32, local: u32) {
  for (var n = local; n < 256; n += 64) {
    let row = n / 16;
    let quad = n % 16;
    let block = mat4x4f(
      recallScores(chunks, chunk, chunkIndex, head, 4 * row, 4 * quad),
      recallScores(chunks, chunk, chunkIndex, head, 4 * row + 1, 4 * quad),
      recallScores(chunks, chunk, chunkIndex, head, 4 * row + 2, 4 * quad),
      recallScores(chunks, chunk, chunkIndex, head, 4 * row + 3, 4 * quad),
    );
    if (turned) {
      let columns = transpose(block);
      let at = 4 * (15 - quad) * 16 + 15 - row;
      matrix[at] = columns[3].wzyx;
      matrix[at + 16] = columns[2].wzyx;
      matrix[at + 32] = columns[1].wzyx;
      matrix[at + 48] = columns[0].wzyx;
    } else {
      let at = 4 * row * 16 + quad;
      matrix[at] = block[0];
      matrix[at + 16] = block[1];
      matrix[at + 32] = block[2];
      matrix[at + 48] = block[3];
    }
  }
}

/** 4 rows of one column of vectors. */
fn rowsAt(row: u32, quad: u32) -> mat4x4f {
  let at = row * 16 + quad;
  return mat4x4f(matrix[at], matrix[at + 16], matrix[at + 32], matrix[at + 48]);
}

/** A decayed key. To the chunk's start a recall key is decayed as far as it sees, to the end every key is a writer's. */
fn decayed(x: vec4f, chunk: Chunk, head: u32, token: u32, column: u32, toEnd: bool, before: u32) -> vec4f {
  return x * decaysTo(chunk, head, i32(token) - select(i32(before), 0, toEnd), column, toEnd);
}

/** The right side's rows of an unknown: of the keys, and of the values. */
fn keyRow(chunk: Chunk, head: u32, unknown: u32, column: u32) -> vec4f {
  let token = tokenOf(unknown);
  let known = min(token, chunk.tokens - 1);
  let x = xAt((chunk.start + known) * sizes.heads + head, column);
  let decayedX = decayed(x, chunk, head, known, column, turned, sizes.before);
  return select(vec4f(), decayedX, token < chunk.tokens);
}

fn valueRow(chunk: Chunk, head: u32, unknown: u32, column: u32) -> vec4f {
  let token = tokenOf(unknown);
  let y = yAt((chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head, column);
  return select(vec4f(), y, token < chunk.tokens);
}

/** 4 of them. */
fn rightSide(chunk: Chunk, head: u32, unknown: u32, column: u32, isValue: bool) -> mat4x4f {
  if (isValue) {
    return mat4x4f(
      valueRow(chunk, head, unknown, column),
      valueRow(chunk, head, unknown + 1, column),
      valueRow(chunk, head, unknown + 2, column),
      valueRow(chunk, head, unknown + 3, column),
    );
  }
  return mat4x4f(
    keyRow(chunk, head, unknown, column),
    keyRow(chunk, head, unknown + 1, column),
    keyRow(chunk, head, unknown + 2, column),
    keyRow(chunk, head, unknown + 3, column),
  );
}

/** 4 rows of N times 4 solved rows. */
fn product(row: u32, quad: u32, x: mat4x4f) -> mat4x4f {
  let n = rowsAt(row, quad);
  return mat4x4f(x * n[0], x * n[1], x * n[2], x * n[3]);
}

/** 4 rows of which only what they have to do with each other is left to be done. */
fn substitute(row: u32, x: mat4x4f) -> mat4x4f {
  let n = rowsAt(row, row / 4);
  let solved1 = x[1] + n[1].x * x[0];
  let solved2 = x[2] + n[2].x * x[0] + n[2].y * solved1;
  let solved3 = x[3] + n[3].x * x[0] + n[3].y * solved1 + n[3].z * solved2;
  return mat4x4f(x[0], solved1, solved2, solved3);
}

/** What an invocation has put there. */
fn solvedRow(chunk: Chunk, head: u32, unknown: u32, vector: u32) -> vec4f {
  let token = tokenOf(unknown);
  let row = (chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head;
  return select(vec4f(), system[row * sizes.extra + vector], token < chunk.tokens);
}

fn solvedRows(chunk: Chunk, head: u32, unknown: u32, vector: u32) -> mat4x4f {
  return mat4x4f(
    solvedRow(chunk, head, unknown, vector),
    solvedRow(chunk, head, unknown + 1, vector),
    solvedRow(chunk, head, unknown + 2, vector),
    solvedRow(chunk, head, unknown + 3, vector),
  );
}

fn put(chunk: Chunk, head: u32, unknown: u32, vector: u32, value: vec4f) {
  let token = tokenOf(unknown);
  if (token < chunk.tokens) {
    system[((chunk.start + token) * sizes.heads + head) * sizes.extra + vector] = value;
  }
}

fn putRows(chunk: Chunk, head: u32, unknown: u32, vector: u32, rows: mat4x4f) {
  put(chunk, head, unknown, vector, rows[0]);
  put(chunk, head, unknown + 1, vector, rows[1]);
  put(chunk, head, unknown + 2, vector, rows[2]);
  put(chunk, head, unknown + 3, vector, rows[3]);
}

/** 16 rows after 16 rows, an invocation all of its columns'. */
fn solve(chunk: Chunk, head: u32, local: u32, keyQuads: u32, valueQuads: u32) {
  for (var n = local; n < keyQuads + valueQuads; n += 64) {
    let isValue = n >= keyQuads;
    let column = 4 * select(n, n - keyQuads, isValue);
    for (var first = 0u; first < 64; first += 16) {
      if (min(tokenOf(first), tokenOf(first + 15)) >= chunk.tokens) {
        continue;
      }
      var rows0 = rightSide(chunk, head, first, column, isValue);
      var rows1 = rightSide(chunk, head, first + 4, column, isValue);
      var rows2 = rightSide(chunk, head, first + 8, column, isValue);
      var rows3 = rightSide(chunk, head, first + 12, column, isValue);
      let own = first / 4;
      for (var quad = 0u; quad < own; quad++) {
        let x = solvedRows(chunk, head, 4 * quad, n);
        rows0 += product(first, quad, x);
        rows1 += product(first + 4, quad, x);
        rows2 += product(first + 8, quad, x);
        rows3 += product(first + 12, quad, x);
      }
      rows0 = substitute(first, rows0);
      rows1 += product(first + 4, own, rows0);
      rows2 += product(first + 8, own, rows0);
      rows3 += product(first + 12, own, rows0);
      rows1 = substitute(first + 4, rows1);
      rows2 += product(first + 8, own + 1, rows1);
      rows3 += product(first + 12, own + 1, rows1);
      rows2 = substitute(first + 8, rows2);
      rows3 += product(first + 12, own + 2, rows2);
      rows3 = substitute(first + 12, rows3);
      putRows(chunk, head, first, n, rows0);
      putRows(chunk, head, first + 4, n, rows1);
      putRows(chunk, head, first + 8, n, rows2);
      putRows(chunk, head, first + 12, n, rows3);
    }
  }
}

@compute @workgroup_size(64)
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
  let keyQuads = (sizes.keyWidth + 3) / 4;
  let valueQuads = (sizes.valueWidth + 3) / 4;
  if (isSolved) {
    for (var n = local; n < chunk.tokens * valueQuads; n += 64) {
      let row = (chunk.start + n / valueQuads) * sizes.heads + head;
      system[row * sizes.extra + keyQuads + n % valueQuads] = yAt(row, 4 * (n % valueQuads));
    }
  } else {
    load(chunk, group.z, groups.z, head, local);
    workgroupBarrier();
    solve(chunk, head, local, keyQuads, valueQuads);
  }

  let hasOthers = sizes.extra > 2 * keyQuads + valueQuads;
  for (var n = local; n < chunk.tokens * keyQuads; n += 64) {
    let token = n / keyQuads;
    let quad = n % keyQuads;
    let row = (chunk.start + token) * sizes.heads + head;
    let at = row * sizes.extra + keyQuads + valueQuads + quad;
    let writes = writesAt(row, 4 * quad);
    system[at] = decayed(writes, chunk, head, token, 4 * quad, !turned, sizes.before);
    if (hasOthers) {
      let others = sizes.stateScale * othersAt(row, 4 * quad);
      system[at + keyQuads] = decayed(others, chunk, head, token, 4 * quad, !turned, 0);
    }
  }
}
