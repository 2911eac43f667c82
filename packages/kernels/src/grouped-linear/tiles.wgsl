// Which rows a workgroup has: groups are cut into tiles, group after group. What stands before this text: `sizes`, `starts` and
// `lengths`.
var<private> ownTile: u32;
var<private> ownGroup: u32;
/** The first row of the tile, and its rows: none for a tile behind the last. */
var<private> ownStart: u32;
var<private> ownRows: u32;

fn findTile(tile: u32, tileRows: u32) {
  ownTile = tile;
  ownRows = 0;
  var before = 0u;
  for (var g = 0u; g < sizes.groups; g++) {
    let length = u32(lengths[g]);
    let count = (length + tileRows - 1) / tileRows;
    if (tile >= before && tile < before + count) {
      let offset = (tile - before) * tileRows;
      ownGroup = g;
      ownStart = u32(starts[g]) + offset;
      ownRows = min(tileRows, length - offset);
    }
    before += count;
  }
}
