// A group's gradient is the sum over its tiles, in their order. A workgroup has numbers of one group. What stands before this text: the
// bindings, `sizes`, `sharesOf` (what workgroups of this y sum up) and `put`.
struct Shares {
  group: u32,
  /** Packs, the first among those of the group. */
  start: u32,
  count: u32,
}

fn tilesOf(group: u32) -> u32 {
  return (u32(lengths[group]) + sizes.tileRows - 1) / sizes.tileRows;
}

@compute @workgroup_size(256)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let packs = sizes.size / packWidth;
  let own = sharesOf(group.y);
  var first = 0u;
  for (var g = 0u; g < own.group; g++) {
    first += tilesOf(g);
  }
  let end = first + tilesOf(own.group);
  for (var i = id.x; i < own.count; i += workgroups.x * 256) {
    var sum = Pack();
    for (var tile = first; tile < end; tile++) {
      sum += parts[tile * packs + own.start + i];
    }
    put(group.y, i, sum);
  }
}
