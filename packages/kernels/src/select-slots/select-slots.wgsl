// The highest scores so far, block after block. A workgroup has a sequence: its slots, sorted, lie in workgroup memory, and every
// entry of slots and tokens finds its next place by counting those ahead of it. Scores are compared as whole numbers in the
// same order: WGSL need not compare infinities as one would expect.
const atOnce = 128u;
/** Order of −∞ and of the lowest finite number, which is no candidate either. */
const lowest = 0x00800000u;
const minusInfinity = 0xff800000u;
const signBit = 0x80000000u;

override slots: u32;

struct Uniforms {
  tokens: u32,
  block: u32,
  held: u32,
}

@group(0) @binding(0) var<storage, read> scores: array<u32>;
@group(0) @binding(1) var<storage, read> held: array<u32>;
@group(0) @binding(2) var<storage, read_write> ids: array<i32>;
@group(0) @binding(3) var<storage, read_write> best: array<u32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

/** Two memories, the one in use and the next: order and id of each slot, the highest first. */
var<workgroup> memory: array<vec2u, 2 * slots>;
var<workgroup> candidates: array<u32, atOnce>;

/** Grows with the score whose bits these are; of both zeros the same. */
fn orderOf(bits: u32) -> u32 {
  if (bits < signBit) {
    return bits | signBit;
  }
  return select(~bits, signBit, bits == signBit);
}

fn bitsOf(order: u32) -> u32 {
  return select(~order, order ^ signBit, order >= signBit);
}

/** Takes candidates, one an invocation, into the memory that begins at `now`: what comes of it begins at `next`. */
fn admit(now: u32, next: u32, order: u32, id: u32, count: u32, local: u32) {
  candidates[local] = order;
  workgroupBarrier();
  for (var slot = local; slot < slots; slot += atOnce) {
    let entry = memory[now + slot];
    // Among equals the older is ahead.
    var place = slot;
    for (var i = 0u; i < count; i++) {
      place += u32(candidates[i] > entry.x);
    }
    if (place < slots) {
      memory[next + place] = entry;
    }
  }
  if (order > lowest) {
    var place = 0u;
    for (var slot = 0u; slot < slots; slot++) {
      place += u32(memory[now + slot].x >= order);
    }
    for (var i = 0u; i < count; i++) {
      place += u32(candidates[i] > order || (candidates[i] == order && i < local));
    }
    if (place < slots) {
      memory[next + place] = vec2u(order, id);
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(atOnce)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let sequence = group.x;
  var now = 0u;
  for (var slot = local; slot < slots; slot += atOnce) {
    memory[slot] = vec2u(lowest, 0);
  }
  workgroupBarrier();

  for (var first = 0u; first < sizes.held; first += atOnce) {
    let count = min(atOnce, sizes.held - first);
    var order = lowest;
    if (local < count) {
      order = max(lowest, orderOf(held[sequence * sizes.held + first + local]));
    }
    admit(now, slots - now, order, first + local, count, local);
    now = slots - now;
  }

  let blocks = sizes.tokens / sizes.block;
  for (var block = 0u; block < blocks; block++) {
    for (var done = 0u; done < sizes.block; done += atOnce) {
      let count = min(atOnce, sizes.block - done);
      let token = block * sizes.block + done + local;
      var order = lowest;
      if (local < count) {
        order = max(lowest, orderOf(scores[sequence * sizes.tokens + token]));
      }
      admit(now, slots - now, order, sizes.held + token, count, local);
      now = slots - now;
    }
    for (var slot = local; slot < slots; slot += atOnce) {
      let entry = memory[now + slot];
      let at = (sequence * blocks + block) * slots + slot;
      let isTaken = entry.x > lowest;
      ids[at] = select(-1, i32(entry.y), isTaken);
      best[at] = select(minusInfinity, bitsOf(entry.x), isTaken);
    }
  }
}
