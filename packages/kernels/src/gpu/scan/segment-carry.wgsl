// What enters each segment, from what comes out behind each when nothing enters: in `entries` the one takes the place of the
// other. An invocation has one value of a sequence's and head's state.
const hasInitial = 1u;
const fromLast = 2u;
const hasLast = 4u;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  let size = sizes.keyWidth * sizes.valueWidth;
  if (id.x >= size) {
    return;
  }
  let own = sequenceSegments[group.z];
  let channel = select(group.y, group.y * sizes.keyWidth + id.x / sizes.valueWidth, gate == vectorGate);
  let lane = (group.z * sizes.heads + group.y) * size + id.x;
  var state = 0f;
  if ((sizes.extra & hasInitial) != 0) {
    state = initial[lane];
  }
  let isBackwards = (sizes.extra & fromLast) != 0;
  let most = max(own.y, 1) - 1;
  var index = own.x + select(0, most, isBackwards);
  // What is needed next is on its way; behind the last segment comes the last again.
  var leaving = entries[(index * sizes.heads + group.y) * size + id.x];
  var decay = decayOf(index, channel);
  for (var n = 0u; n < own.y; n++) {
    let following = min(n + 1, most);
    let next = own.x + select(following, most - following, isBackwards);
    let nextLeaving = entries[(next * sizes.heads + group.y) * size + id.x];
    let nextDecay = decayOf(next, channel);
    entries[(index * sizes.heads + group.y) * size + id.x] = state;
    state = decay * state + leaving;
    index = next;
    leaving = nextLeaving;
    decay = nextDecay;
  }
  if ((sizes.extra & hasLast) != 0) {
    last[lane] = state;
  }
}

fn decayOf(segment: u32, channel: u32) -> f32 {
  if (gate == noGate) {
    return 1;
  }
  return decays[segment * channels() + channel];
}
