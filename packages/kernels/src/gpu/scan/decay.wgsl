// What a chunk is, and the decay in it. Needs the bindings `chunks` and `sums` (running-sums.wgsl).
const noGate = 0u;
const scalarGate = 1u;
const vectorGate = 2u;

override gate: u32;

struct Uniforms {
  heads: u32,
  /** dk. */
  keyWidth: u32,
  /** dv. */
  valueWidth: u32,
  rows: u32,
  /** Decay from behind a token to the chunk's end, instead of from the chunk's start to the token. */
  toEnd: u32,
  /** To the token, but without its own gate: the reads have a bonus. */
  before: u32,
  /** Factor of what goes by way of the state. */
  stateScale: f32,
  /** Factor of what goes by way of the scores. */
  scoreScale: f32,
  /** What a stage has to be told besides. */
  extra: u32,
}

struct Chunk {
  start: u32,
  tokens: u32,
  sequence: u32,
  index: u32,
}

/** Of `sums`: heads, or heads · dk. */
fn channels() -> u32 {
  return select(sizes.heads, sizes.heads * sizes.keyWidth, gate == vectorGate);
}

/** Between two running sums, the smaller of which is the later: e^{b_later − b_earlier}, in whichever order they come. */
fn decayBetween(a: vec2f, b: vec2f) -> f32 {
  let difference = a - b;
  return exp(-abs(difference.x + difference.y));
}

/** b of a token; 0 for the one before the first. */
fn sumThrough(chunk: Chunk, token: i32, channel: u32) -> vec2f {
  let sum = sums[(chunk.start + u32(max(token, 0))) * channels() + channel];
  return select(sum, vec2f(), token < 0);
}

/** ρ of a token that reads: b, or p where it reads before its own gate. */
fn sumToRead(chunk: Chunk, token: u32, channel: u32) -> vec2f {
  return sumThrough(chunk, select(i32(token), i32(token) - 1, sizes.before != 0), channel);
}

/** Between a token and the chunk's border. */
fn borderDecay(chunk: Chunk, token: u32, channel: u32) -> f32 {
  if (sizes.toEnd != 0) {
    return decayBetween(sumThrough(chunk, i32(chunk.tokens) - 1, channel), sumThrough(chunk, i32(token), channel));
  }
  return decayBetween(sumToRead(chunk, token, channel), vec2f());
}
