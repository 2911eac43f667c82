// The products that reads are made of: rows of x by the state at the chunk's border, and scores by rows of y. Follows product.wgsl.
//
// The text that it is part of has `readX`, `readY` and `readScores`, which give what is in memory; `borderDecays`; and
// `decayedScores`, which makes of scores what y is multiplied by.
/** z has the key's width: S is read along its other axis. */
override transposed: bool;

/** What a workgroup and an invocation in it are. */
struct Place {
  chunk: Chunk,
  chunkIndex: u32,
  /** Of all sequences. */
  chunks: u32,
  head: u32,
  column0: u32,
  local: u32,
}

/** A slice of x and of the state, or of scores and y, as it is in memory. */
struct Slices {
  a: mat4x4f,
  b: array<mat4x4f, heldB>,
}

/** With one gate for all channels: of tokens, the decay to the border. */
var<workgroup> borderDecays: array<f32, tile>;

fn innerWidth() -> u32 {
  return select(sizes.keyWidth, sizes.valueWidth, transposed);
}

/**
 * The token that a row of the tile has, and the row that a token has. Those that need the fewest of the others come first, be
 * it that they look to the chunk's start or to its end.
 */
fn turned(row: u32) -> u32 {
  return row ^ select(0u, tile / 2, sizes.toEnd != 0);
}

/** Behind the last token stands the last again: nobody asks for what it gets. */
fn rowOf(place: Place, token: u32) -> u32 {
  return (place.chunk.start + min(token, place.chunk.tokens - 1)) * sizes.heads + place.head;
}

fn blockX(place: Place, token: u32, column: u32) -> mat4x4f {
  return mat4x4f(
    readX(place, token, column),
    readX(place, token + 1, column),
    readX(place, token + 2, column),
    readX(place, token + 3, column),
  );
}

fn blockState(place: Place, key: u32, value: u32) -> mat4x4f {
  let row = (place.chunkIndex * sizes.heads + place.head) * sizes.keyWidth;
  let last = sizes.keyWidth - 1;
  return mat4x4f(
    statesNear(row + min(key, last), value),
    statesNear(row + min(key + 1, last), value),
    statesNear(row + min(key + 2, last), value),
    statesNear(row + min(key + 3, last), value),
  );
}

/** x of 4 tokens, inner index by inner index from `inner` on: decayed where one gate decays all of it, and 0 behind the last. */
fn decayedX(x: mat4x4f, token: u32, inner: u32) -> mat4x4f {
  var factors = vec4f(sizes.stateScale);
  if (gate == scalarGate) {
    factors *= vec4f(
      borderDecays[token],
      borderDecays[token + 1],
      borderDecays[token + 2],
      borderDecays[token + 3],
    );
  }
  let width = innerWidth();
  return mat4x4f(
    select(vec4f(), factors * x[0], inner < width),
    select(vec4f(), factors * x[1], inner + 1 < width),
    select(vec4f(), factors * x[2], inner + 2 < width),
    select(vec4f(), factors * x[3], inner + 3 < width),
  );
}

fn atX(local: u32) -> vec2u {
  return alongInner(blockOfA(local));
}

fn atState(local: u32, h: u32) -> vec2u {
  let block = local + h * invocations;
  if (transposed) {
    return alongInner(block);
  }
  return alongEdge(block, columnQuads);
}

fn stateSlices(place: Place, first: u32) -> Slices {
  let at = atX(place.local);
  var slices: Slices;
  slices.a = blockX(place, turned(4 * at.x), first + 4 * at.y);
  for (var h = 0u; h < heldB; h++) {
    let at = atState(place.local, h);
    let column = place.column0 + 4 * at.x;
    let inner = first + 4 * at.y;
    slices.b[h] = blockState(place, select(inner, column, transposed), select(column, inner, transposed));
  }
  return slices;
}

fn keepStateSlices(place: Place, slices: Slices, first: u32) {
  let at = atX(place.local);
  workgroupBarrier();
  keepA(place.local, at, decayedX(transpose(slices.a), turned(4 * at.x), first + 4 * at.y));
  for (var h = 0u; h < heldB; h++) {
    if (transposed) {
      keepB(atState(place.local, h), transpose(slices.b[h]));
    } else {
      keepB(atState(place.local, h), slices.b[h]);
    }
  }
  workgroupBarrier();
}

/** Adds x S. */
fn addStates(place: Place) {
  var next = stateSlices(place, 0);
  for (var first = 0u; first < innerWidth(); first += depth) {
    keepStateSlices(place, next, first);
    if (first + depth < innerWidth()) {
      next = stateSlices(place, first + depth);
    }
    multiplySlices(place.local);
  }
}

fn atScores(local: u32) -> vec2u {
  let block = blockOfA(local);
  return select(alongInner(block), alongEdge(block, quads), sizes.toEnd != 0);
}

fn atY(local: u32, h: u32) -> vec2u {
  return alongEdge(local + h * invocations, columnQuads);
}

/** Reader and writer that a block of scores begins at. */
fn pairAt(at: vec2u, first: u32) -> vec2u {
  return select(vec2u(4 * at.x, first + 4 * at.y), vec2u(first + 4 * at.y, turned(4 * at.x)), sizes.toEnd != 0);
}

fn scoreSlices(place: Place, plane: u32, term: u32, first: u32) -> Slices {
  var slices: Slices;
  for (var h = 0u; h < heldB; h++) {
    let at = atY(place.local, h);
    let token = first + 4 * at.y;
    let column = place.column0 + 4 * at.x;
    slices.b[h] = mat4x4f(
      readY(place, term, token, column),
      readY(place, term, token + 1, column),
      readY(place, term, token + 2, column),
      readY(place, term, token + 3, column),
    );
  }
  let pair = pairAt(atScores(place.local), first);
  slices.a = mat4x4f(
    readScores(place, plane, pair.x, pair.y),
    readScores(place, plane, pair.x + 1, pair.y),
    readScores(place, plane, pair.x + 2, pair.y),
    readScores(place, plane, pair.x + 3, pair.y),
  );
  return slices;
}

fn keepScoreSlices(place: Place, plane: u32, slices: Slices, first: u32) {
  let at = atScores(place.local);
  let pair = pairAt(at, first);
  let decayed = mat4x4f(
    decayedScores(place, plane, slices.a[0], pair.x, pair.y),
    decayedScores(place, plane, slices.a[1], pair.x + 1, pair.y),
    decayedScores(place, plane, slices.a[2], pair.x + 2, pair.y),
    decayedScores(place, plane, slices.a[3], pair.x + 3, pair.y),
  );
  workgroupBarrier();
  if (sizes.toEnd != 0) {
    keepA(place.local, at, decayed);
  } else {
    keepA(place.local, at, transpose(decayed));
  }
  for (var h = 0u; h < heldB; h++) {
    keepB(atY(place.local, h), slices.b[h]);
  }
  workgroupBarrier();
}

/** Adds what the scores of a plane give of y: first of those 32 tokens that all may need, then of those that half of them do. */
fn addScores(place: Place, plane: u32, term: u32) {
  var next = scoreSlices(place, plane, term, turned(0));
  for (var first = 0u; first < tile; first += depth) {
    keepScoreSlices(place, plane, next, turned(first));
    if (first + depth < tile) {
      next = scoreSlices(place, plane, term, turned(first + depth));
    }
    if (first < tile / 2) {
      multiplySlices(place.local);
    } else {
      multiplyLower(place.local);
    }
  }
}

fn finish(place: Place) {
  for (var part = 0u; part < parts; part++) {
    let at = placeOf(place.local, part);
    let token = turned(at.x);
    if (token < place.chunk.tokens) {
      putZ(rowOf(place, token), place.column0 + at.y, tileSums[part]);
    }
  }
}
