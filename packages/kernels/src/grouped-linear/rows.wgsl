// Where the product of a tile's rows with their group's weight is. Tiles together number no fewer rows than there are, so that each
// also sees to the rows of its own number that belong to no group: they are 0.
//
// What stands before this text: `sizes`, findTile, put.
var<private> ownTile: u32;
var<private> ownGroup: u32;
var<private> ownStart: u32;
var<private> ownRows: u32;

fn takeTile(tile: u32, tileRows: u32) -> Tile {
  let own = findTile(tile, tileRows);
  ownTile = tile;
  ownGroup = own.group;
  ownStart = own.start;
  ownRows = own.rows;
  return own;
}

/** Clears the rows of the tile's number that belong to no group, from one column to another. */
fn clearUnused(tileRows: u32, column0: u32, columnEnd: u32, local: u32, invocations: u32) {
  let end = min(sizes.total, (ownTile + 1) * tileRows);
  for (var row = ownTile * tileRows + local; row < end; row += invocations) {
    if (rowSequence[row] < 0) {
      for (var column = column0; column < columnEnd; column += 4) {
        put(row, column, vec4f());
      }
    }
  }
}
