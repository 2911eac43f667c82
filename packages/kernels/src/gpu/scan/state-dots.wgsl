// w_i · z_i for each token, of what z has from the state alone, by tiles of columns: [tile, row, head].
var<workgroup> dotParts: array<vec4f, quads * 8>;

fn dotOf(chunk: Chunk, head: u32, place: vec2u, left: vec4f, right: vec4f) -> f32 {
  if (place.x >= chunk.tokens) {
    return 0;
  }
  let row = (chunk.start + place.x) * sizes.heads + head;
  return dot(weightAt(row, place.y), left) + dot(weightAt(row, place.y + 32), right);
}

fn afterState(chunk: Chunk, head: u32, columnTile: u32, local: u32) {
  let lane = laneOf(local);
  let upper = placeOf(local, 0) + vec2u(0, columnTile * tile);
  let lower = upper + vec2u(32, 0);
  dotParts[lane.y * 8 + lane.x] = vec4f(
    dotOf(chunk, head, upper, tileSums[0], tileSums[1]),
    dotOf(chunk, head, upper + vec2u(1, 0), tileSums[2], tileSums[3]),
    dotOf(chunk, head, upper + vec2u(2, 0), tileSums[4], tileSums[5]),
    dotOf(chunk, head, upper + vec2u(3, 0), tileSums[6], tileSums[7]),
  );
  dotParts[(8 + lane.y) * 8 + lane.x] = vec4f(
    dotOf(chunk, head, lower, tileSums[8], tileSums[9]),
    dotOf(chunk, head, lower + vec2u(1, 0), tileSums[10], tileSums[11]),
    dotOf(chunk, head, lower + vec2u(2, 0), tileSums[12], tileSums[13]),
    dotOf(chunk, head, lower + vec2u(3, 0), tileSums[14], tileSums[15]),
  );
  workgroupBarrier();
  if (local < quads) {
    var sum = vec4f();
    for (var part = 0u; part < 8; part++) {
      sum += dotParts[local * 8 + part];
    }
    for (var r = 0u; r < 4; r++) {
      let token = 4 * local + r;
      if (token < chunk.tokens) {
        dots[((sizes.extra + columnTile) * sizes.rows + chunk.start + token) * sizes.heads + head] = sum[r];
      }
    }
  }
}
