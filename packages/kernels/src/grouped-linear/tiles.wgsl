// Which rows a workgroup has: groups are cut into tiles, group after group. What stands before this text: `sizes`, `starts` and
// `lengths`.
struct Tile {
  group: u32,
  /** Its first row, and its rows: none for a tile behind the last. */
  start: u32,
  rows: u32,
}

fn lengthOf(group: u32) -> u32 {
  return select(0, u32(lengths[min(group, sizes.groups - 1)]), group < sizes.groups);
}

fn findTile(tile: u32, tileRows: u32) -> Tile {
  var group = 0u;
  var first = 0u;
  var rows = 0u;
  var before = 0u;
  for (var g = 0u; g < sizes.groups; g += 4) {
    // A loop waits for what it reads: four at once.
    let own = vec4u(lengthOf(g), lengthOf(g + 1), lengthOf(g + 2), lengthOf(g + 3));
    let counts = (own + tileRows - 1) / tileRows;
    for (var i = 0u; i < 4; i++) {
      if (tile >= before && tile < before + counts[i]) {
        group = g + i;
        first = (tile - before) * tileRows;
        rows = min(tileRows, own[i] - first);
      }
      before += counts[i];
    }
  }
  return Tile(group, u32(starts[group]) + first, rows);
}
