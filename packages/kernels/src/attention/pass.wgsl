// A pass: the queries of a group over keys that lie in one buffer. Which keys they are, who sees them, and where a tile's vectors
// are. Needs the bindings `sequences` and `positions`.
const keysInRows = 0u;
const keysInCache = 1u;
const keysInBlocks = 2u;

/** A score that is not there: e^{this} is 0, and it is a number. */
const hidden = -1e30;

/** Queries and keys of a tile. */
const tile = 64u;

struct Uniforms {
  heads: u32,
  keyHeads: u32,
  headWidth: u32,
  rows: u32,
  place: u32,
  /** Keys of a sequence in the cache, or of a block. */
  keys: u32,
  /** n, of `keysInBlocks`. */
  keyBlocks: u32,
  /** b; 0 where all queries of a sequence see the same keys. */
  block: u32,
  nearest: u32,
  farthest: u32,
  /** Adds to what an earlier pass has left. */
  continues: u32,
  /** Tiles of a block of queries; or parts of a query's keys (few.wgsl). */
  parts: u32,
  scale: f32,
}

struct Sequence {
  start: i32,
  length: i32,
  /** Tokens seen before. */
  position: i32,
  /** The tile that its packed rows begin at (pack.wgsl). */
  packed: i32,
}

/** Queries in a row: at most a tile of them. */
struct Queries {
  row: u32,
  tokens: u32,
  /** Of the first. */
  position: i32,
  head: u32,
}

/** Keys that queries may see, those at first, first + 1, … < end. */
struct Keys {
  /** Row of key 0. */
  row: u32,
  /** Position of key 0, where they follow on each other. */
  position: i32,
  first: i32,
  end: i32,
  head: u32,
}

/** Queries from one position to before another that are in the pass. */
fn queriesIn(sequence: Sequence, start: i32, end: i32, head: u32) -> Queries {
  let first = max(start, sequence.position);
  let behind = min(end, sequence.position + sequence.length);
  return Queries(u32(sequence.start + first - sequence.position), u32(max(0, behind - first)), first, head);
}

/** Position that block 0 begins at. */
fn originOf(sequence: Sequence) -> i32 {
  let block = i32(sizes.block);
  return select(sequence.position, sequence.position / max(block, 1) * block, block > 0);
}

/** Tile `index` of a sequence's queries; `parts` of them make a block. */
fn tileOfQueries(sequence: Sequence, index: u32, head: u32) -> Queries {
  let start = originOf(sequence) + i32(index / sizes.parts * sizes.block + index % sizes.parts * tile);
  let end = originOf(sequence) + i32((index / sizes.parts + 1) * sizes.block);
  return queriesIn(sequence, start, select(start + i32(tile), min(start + i32(tile), end), sizes.block > 0), head);
}

/** Key 0 and the number of keys; `block` is for those in blocks. */
fn keysOf(sequence: Sequence, index: u32, block: u32, head: u32) -> Keys {
  if (sizes.place == keysInRows) {
    return Keys(u32(sequence.start), sequence.position, 0, sequence.length, head);
  }
  let count = i32(sizes.keys);
  if (sizes.place == keysInCache) {
    return Keys(index * sizes.keys, sequence.position - count, max(0, count - sequence.position), count, head);
  }
  return Keys((index * sizes.keyBlocks + block) * sizes.keys, 0, 0, count, head);
}

/** Those that some query of the tile may see. */
fn seenBy(queries: Queries, all: Keys) -> Keys {
  var keys = all;
  if (sizes.place != keysInBlocks) {
    let last = queries.position + i32(queries.tokens) - 1;
    keys.first = max(all.first, queries.position - i32(sizes.farthest) + 1 - all.position);
    keys.end = min(all.end, last - i32(sizes.nearest) + 1 - all.position);
  }
  return keys;
}

/** Of 4 keys; negative behind the last. */
fn keyPositions(keys: Keys, key: i32) -> vec4i {
  let index = key + vec4i(0, 1, 2, 3);
  var found = keys.position + index;
  if (sizes.place == keysInBlocks) {
    let at = vec4i(i32(keys.row)) + min(index, vec4i(keys.end - 1));
    found = vec4i(round(vec4f(positions[at.x], positions[at.y], positions[at.z], positions[at.w])));
  }
  return select(vec4i(-1), found, index < vec4i(keys.end));
}

fn sees(queries: vec4i, keys: vec4i) -> vec4<bool> {
  let distance = queries - keys;
  return (keys >= vec4i(0)) & (distance >= vec4i(i32(sizes.nearest))) & (distance < vec4i(i32(sizes.farthest)));
}

/** Row of a query's head; behind the last query, that of the last. */
fn queryRow(queries: Queries, token: u32) -> u32 {
  return (queries.row + min(token, queries.tokens - 1)) * sizes.heads + queries.head;
}

/** Row of a key's head; behind the last key, that of the last. */
fn keyRow(keys: Keys, key: i32) -> u32 {
  return (keys.row + u32(min(key, keys.end - 1))) * sizes.keyHeads + keys.head;
}
