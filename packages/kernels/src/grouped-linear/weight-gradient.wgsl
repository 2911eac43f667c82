// Where the product dyᵀ·x over the rows of a tile begins, and where it ends.
fn startsOf(tile: u32) -> vec3u {
  let own = findTile(tile, sizes.inner);
  return vec3u(own.start * sizes.rows, own.start * sizes.columns, own.rows);
}
