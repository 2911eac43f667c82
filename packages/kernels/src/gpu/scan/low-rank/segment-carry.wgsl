// What enters each segment, E ← T E + R, from the segments' transitions and from what comes out behind each when nothing enters,
// whose place it takes. A workgroup has all rows of 8 columns of a sequence's and head's state.
const hasInitial = 1u;
const fromLast = 2u;
const hasLast = 4u;
const columns = 8u;
/** Columns of a transition that states-transition.wgsl has told of. */
const transitionColumns = 32u;
const quads = columns / 4;
/** Rows that the invocations have at once, and that there are at most. */
const edge = 64u;
const mostRows = 256u;

/** The state that enters a segment, and the next. */
var<workgroup> held: array<array<vec4f, mostRows * quads>, 2>;

/** Of four columns of a transition and as many rows that are held. */
fn timesFour(transition: vec4f, now: u32, at: u32) -> vec4f {
  return transition.x * held[now][at] +
    transition.y * held[now][at + quads] +
    transition.z * held[now][at + 2 * quads] +
    transition.w * held[now][at + 3 * quads];
}

@compute @workgroup_size(edge * quads)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let own = sequenceSegments[group.z];
  let laneRow = (group.z * sizes.heads + group.y) * sizes.keyWidth;
  let column = group.x * columns + 4 * (local % quads);
  let tiles = (sizes.keyWidth + transitionColumns - 1) / transitionColumns;
  let isBackwards = (sizes.extra & fromLast) != 0;
  for (var row = local / quads; row < sizes.keyWidth; row += edge) {
    var state = vec4f();
    if ((sizes.extra & hasInitial) != 0) {
      state = initialAt(laneRow + row, column);
    }
    held[0][row * quads + local % quads] = state;
  }
  for (var n = 0u; n < own.y; n++) {
    let index = own.x + select(n, own.y - 1 - n, isBackwards);
    let segmentRow = (index * sizes.heads + group.y) * sizes.keyWidth;
    let now = n % 2;
    workgroupBarrier();
    for (var row = local / quads; row < sizes.keyWidth; row += edge) {
      var sum = entriesAt(segmentRow + row, column);
      for (var tile = 0u; tile < tiles; tile++) {
        if (areThere[(index * sizes.heads + group.y) * tiles + tile] == 0) {
          continue;
        }
        // A loop waits for what it reads: eight at once.
        let k = tile * transitionColumns;
        let at = k * quads + local % quads;
        let t0 = transitionsAt(segmentRow + row, k);
        let t1 = transitionsAt(segmentRow + row, k + 4);
        let t2 = transitionsAt(segmentRow + row, k + 8);
        let t3 = transitionsAt(segmentRow + row, k + 12);
        let t4 = transitionsAt(segmentRow + row, k + 16);
        let t5 = transitionsAt(segmentRow + row, k + 20);
        let t6 = transitionsAt(segmentRow + row, k + 24);
        let t7 = transitionsAt(segmentRow + row, k + 28);
        sum += timesFour(t0, now, at) + timesFour(t1, now, at + 4 * quads);
        sum += timesFour(t2, now, at + 8 * quads) + timesFour(t3, now, at + 12 * quads);
        sum += timesFour(t4, now, at + 16 * quads) + timesFour(t5, now, at + 20 * quads);
        sum += timesFour(t6, now, at + 24 * quads) + timesFour(t7, now, at + 28 * quads);
      }
      putEntries(segmentRow + row, column, held[now][row * quads + local % quads]);
      held[1 - now][row * quads + local % quads] = sum;
    }
  }
  if ((sizes.extra & hasLast) == 0) {
    return;
  }
  for (var row = local / quads; row < sizes.keyWidth; row += edge) {
    putLast(laneRow + row, column, held[own.y % 2][row * quads + local % quads]);
  }
}
