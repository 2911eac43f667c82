// The planes of scores [plane, chunk, head, 64, 64]: what reader i has to do with writer j.
//
// Readers are queries q or recall keys a, writers write at b or at k: plane = reader + 2 · writer. A recall key that sees the
// state before its token's decay (`before`) sees it as the token before left it. So its scores are those of a second query of
// that token: they are in the row before its own, and decay as all others in that row do.
const noPlane = 4u;
/** Kinds of writers that there are. */
override writers: u32;

fn isRecall(plane: u32) -> bool {
  return (plane & 1) == 1;
}

/** How many rows before its token's own the scores of a reader are. */
fn rowsBefore(plane: u32) -> u32 {
  return select(0u, sizes.before, isRecall(plane));
}

/** Which of the 4 writers from `column` on a reader meets, itself only where it reads after it has written. */
fn metWriters(plane: u32, reader: u32, column: u32) -> vec4<bool> {
  return column + vec4u(0, 1, 2, 3) + (plane & 1) <= vec4u(reader);
}

fn rowOfPlane(plane: u32, chunks: u32, chunkIndex: u32, head: u32, row: u32) -> u32 {
  return ((plane * chunks + chunkIndex) * sizes.heads + head) * 64 + row;
}

/** Planes of all the scores that a kind of readers (q, a) or writers (b, k) has; of q at b alone, and of a at k alone. */
fn planesOf(role: u32) -> vec2u {
  switch (role) {
    case 0, 1: {
      return vec2u(role, select(noPlane, role + 2, writers == 2));
    }
    case 2: {
      return vec2u(0, 1);
    }
    case 3: {
      return vec2u(2, 3);
    }
    case 4: {
      return vec2u(0, noPlane);
    }
    default: {
      return vec2u(3, noPlane);
    }
  }
}
