// Decay between a token and the border of its chunk, whichever of the two. Follows decay.wgsl.

/** Of 4 neighbouring key channels from `channel` on; token −1 is the state that enters the chunk. */
fn decaysTo(chunk: Chunk, head: u32, token: i32, channel: u32, toEnd: bool) -> vec4f {
  if (gate == noGate) {
    return vec4f(1);
  }
  let border = select(-1, i32(chunk.tokens) - 1, toEnd);
  if (gate == scalarGate) {
    return vec4f(decayBetween(sumThrough(chunk, token, head), sumThrough(chunk, border, head)));
  }
  // Behind the last channel there is nothing to decay.
  let channels = head * sizes.keyWidth + min(channel + vec4u(0, 1, 2, 3), vec4u(sizes.keyWidth - 1));
  return vec4f(
    decayBetween(sumThrough(chunk, token, channels.x), sumThrough(chunk, border, channels.x)),
    decayBetween(sumThrough(chunk, token, channels.y), sumThrough(chunk, border, channels.y)),
    decayBetween(sumThrough(chunk, token, channels.z), sumThrough(chunk, border, channels.z)),
    decayBetween(sumThrough(chunk, token, channels.w), sumThrough(chunk, border, channels.w)),
  );
}
