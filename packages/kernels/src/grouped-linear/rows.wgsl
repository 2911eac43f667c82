// Where the product of a tile's rows with their group's weight begins, and where its sums go. Tiles together number no fewer rows
// than there are, so that each also sees to the rows of its own number that belong to no group: they are 0.
fn startsOf(tile: u32) -> vec2u {
  findTile(tile, sizes.rows);
  return vec2u(ownStart * sizes.inner, ownGroup * sizes.columns * sizes.inner);
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
