// Where the product of a tile's rows with their group's weight begins, and where its sums go. Tiles together number no fewer rows
// than there are, so that each also sees to the rows of its own number that belong to no group: they are 0.
var<private> ownTile: u32;
var<private> ownGroup: u32;
var<private> ownStart: u32;
var<private> ownRows: u32;

fn startsOf(tile: u32) -> vec3u {
  let own = findTile(tile, sizes.rows);
  ownTile = tile;
  ownGroup = own.group;
  ownStart = own.start;
  ownRows = own.rows;
  // A tile behind the last has nothing to multiply.
  return vec3u(own.start * sizes.inner, own.group * sizes.columns * sizes.inner, select(0, sizes.inner, own.rows > 0));
}

fn write(at: u32, column: u32, sum: vec4f) {
  let row = at / sizes.columns;
  let inTile = row - ownTile * sizes.rows;
  if (inTile < ownRows) {
    put(ownStart + inTile, column, shifted(sum, column));
  }
  if (row < sizes.total && rowSequence[row] < 0) {
    put(row, column, vec4f());
  }
}
