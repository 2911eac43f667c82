// rows.wgsl as the product on matrix units asks for it. What stands before this text: also the tile as constants, startOfWeight, put,
// withBias.

fn begin(group: vec3u, local: u32) -> Part {
  let own = takeTile(group.z, tileRows);
  let column0 = group.x * tileColumns;
  clearUnused(tileRows, column0, min(column0 + tileColumns, sizes.columns), local, invocations);
  return Part(
    own.start * sizes.strideA,
    startOfWeight(own.group, column0),
    // A tile behind the last has nothing to multiply.
    select(0, sizes.inner, own.rows > 0),
  );
}

fn scaleOfA(row: u32) -> f32 {
  return select(0, scalesA[ownStart + row], row < ownRows);
}

fn write(row: u32, column: u32, sum: vec4f) {
  if (row < ownRows && column < sizes.columns) {
    put(ownStart + row, column, withBias(sum, column));
  }
}
