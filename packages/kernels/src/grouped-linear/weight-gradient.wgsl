// Where the product dyᵀ·x over the rows of a tile begins.
fn startsOf(tile: u32) -> vec2u {
  findTile(tile, sizes.inner);
  return vec2u(ownStart * sizes.rows, ownStart * sizes.columns);
}
