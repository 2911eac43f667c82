// A group's gradient is the sum over its tiles, in their order. A workgroup has neighbouring packs of one group. What stands before this
// text: the bindings, `sizes`, `shareOf` (what a workgroup sums up), `readParts` and `put`.
struct Share {
  group: u32,
  /** The first pack among those of the group, and how many. */
  start: u32,
  count: u32,
  /** Where the sums go: which tensor, and its pack. */
  tensor: u32,
  output: u32,
}

var<workgroup> tilesBefore: atomic<u32>;

fn tilesOf(group: u32) -> u32 {
  return (u32(lengths[group]) + sizes.tileRows - 1) / sizes.tileRows;
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) workgroup: vec3u) {
  let own = shareOf(workgroup);
  let tiles = tilesOf(own.group);
  for (var g = local; g < own.group; g += invocations) {
    atomicAdd(&tilesBefore, tilesOf(g));
  }
  workgroupBarrier();
  let first = atomicLoad(&tilesBefore);
  for (var i = local; i < own.count; i += packsAtOnce) {
    var sum = Packs();
    for (var tile = first; tile < first + tiles; tile++) {
      sum += readParts(tile * sizes.packs + own.start + i);
    }
    put(own.tensor, own.output + i, own.count - i, sum);
  }
}
