// rows.wgsl as the body of the matrix product in f32 asks for it. What stands before this text: also the tile as constants, withBias.
fn startsOf(tile: u32) -> vec3u {
  let own = takeTile(tile, sizes.rows);
  // A tile behind the last has nothing to multiply.
  return vec3u(own.start * sizes.inner, own.group * sizes.columns * sizes.inner, select(0, sizes.inner, own.rows > 0));
}

fn prepare(tile: u32, column0: u32, local: u32) {
  clearUnused(sizes.rows, column0, column0 + 4 * vectors * laneColumns, local, laneRows * laneColumns);
}

fn write(at: u32, column: u32, sum: vec4f) {
  let inTile = at / sizes.columns - ownTile * sizes.rows;
  if (inTile < ownRows) {
    put(ownStart + inTile, column, withBias(sum, column));
  }
}
