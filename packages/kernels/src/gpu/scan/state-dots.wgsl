// w_i · z_i for each token, of what z has from the state alone, by tiles of columns: [tile, row, head].

/** Sums of 4 columns by row of the tile: not a multiple of 32 from one row to the next, for the banks. */
const dotStride = quads + 1;
var<workgroup> dotParts: array<f32, tile * dotStride>;

fn dotOf(chunk: Chunk, head: u32, place: vec2u, columnTile: u32, sum: vec4f) -> f32 {
  // Of the tokens behind the last nothing is told.
  let row = (chunk.start + min(place.x, chunk.tokens - 1)) * sizes.heads + head;
  return dot(weightAt(row, columnTile * tile + place.y), sum);
}

fn afterState(chunk: Chunk, head: u32, columnTile: u32, local: u32) {
  for (var part = 0u; part < parts; part++) {
    let place = placeOf(local, part);
    dotParts[place.x * dotStride + place.y / 4] = dotOf(chunk, head, place, columnTile, partOf(part));
  }
  workgroupBarrier();
  if (local < chunk.tokens) {
    var sum = 0f;
    for (var quad = 0u; quad < quads; quad++) {
      sum += dotParts[local * dotStride + quad];
    }
    dots[((sizes.extra + columnTile) * sizes.rows + chunk.start + local) * sizes.heads + head] = sum;
  }
}
