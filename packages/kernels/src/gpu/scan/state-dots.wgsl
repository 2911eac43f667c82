// w_i · z_i for each token, of what z has from the state alone, by tiles of columns: [tile, row, head].

/** Sums of 4 columns by row of the tile: not a multiple of 32 from one row to the next, for the banks. */
const dotStride = quads + 1;
var<workgroup> dotParts: array<f32, tile * dotStride>;

fn dotOf(chunk: Chunk, head: u32, place: vec2u, columnTile: u32, sum: vec4f) -> f32 {
  // Of the tokens behind the last nothing is told.
  let row = (chunk.start + min(turned(place.x), chunk.tokens - 1)) * sizes.heads + head;
  return dot(weightAt(row, columnTile * tileColumns + place.y), sum);
}

fn afterState(chunk: Chunk, head: u32, columnTile: u32, local: u32) {
  for (var part = 0u; part < 8; part++) {
    let place = placeOf(local, part);
    var sum = 0f;
    for (var v = 0u; v < vectors; v++) {
      sum += dotOf(chunk, head, placeOf(local, part + 8 * v), columnTile, tileSums[part + 8 * v]);
    }
    dotParts[turned(place.x) * dotStride + place.y / 4] = sum;
  }
  workgroupBarrier();
  // There is a sum for each 64 columns; those of a wider tile are together in the first.
  if (local % tile < chunk.tokens && local / tile < vectors) {
    var sum = 0f;
    if (local < tile) {
      for (var quad = 0u; quad < quads; quad++) {
        sum += dotParts[local * dotStride + quad];
      }
    }
    let plane = sizes.extra + columnTile * vectors + local / tile;
    dots[(plane * sizes.rows + chunk.start + local % tile) * sizes.heads + head] = sum;
  }
}
