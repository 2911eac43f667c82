// dyᵀ·x over the rows of a tile. What stands before this text: `sizes`, the tile as constants, findTile, put.
var<private> ownPart: u32;
var<private> ownStart: u32;
var<private> ownRows: u32;

fn begin(group: vec3u, local: u32) -> Part {
  let own = findTile(group.z, sizes.partRows);
  ownPart = group.z;
  ownStart = own.start;
  ownRows = own.rows;
  let first = vec2u(group.y * tileRows, group.x * tileColumns);
  let at = own.start * vec2u(sizes.strideA, sizes.strideB) + first / 8;
  return Part(at.x, at.y, own.rows);
}

/** Their product is that of a row. */
fn scalesOfInner(k: u32) -> vec2f {
  return vec2f(scalesA[ownStart + k], scalesB[ownStart + k]);
}

fn write(row: u32, column: u32, sum: vec4f) {
  // Nobody reads the part of a tile behind the last.
  if (row < sizes.rows && column < sizes.columns && ownRows > 0) {
    put(ownPart * sizes.rows + row, column, sum);
  }
}
