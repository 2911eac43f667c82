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
  if (token < 0) {
    return vec2f();
  }
  return sums[(chunk.start + u32(token)) * channels() + channel];
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

/** That of 4 neighbouring key channels from `channel` on: one number without a gate for each. */
fn borderDecays(chunk: Chunk, token: u32, head: u32, channel: u32) -> vec4f {
  if (gate == noGate) {
    return vec4f(1);
  }
  if (gate == scalarGate) {
    return vec4f(borderDecay(chunk, token, head));
  }
  // Behind the last channel there is nothing to decay.
  let channels = head * sizes.keyWidth + min(channel + vec4u(0, 1, 2, 3), vec4u(sizes.keyWidth - 1));
  return vec4f(
    borderDecay(chunk, token, channels.x),
    borderDecay(chunk, token, channels.y),
    borderDecay(chunk, token, channels.z),
    borderDecay(chunk, token, channels.w),
  );
}
