// Scores with the decay between reader and writer, 0 where they do not meet. Needs the binding `scores` in vectors; follows
// planes.wgsl.
fn decayedScores(plane: u32, chunks: u32, chunk: Chunk, chunkIndex: u32, head: u32, reader: u32, column: u32) -> vec4f {
  // A reader without a row before its own meets nobody.
  let row = max(min(reader, chunk.tokens - 1), rowsBefore(plane)) - rowsBefore(plane);
  var values = scores[rowOfPlane(plane, chunks, chunkIndex, head, row) * 16 + column / 4];
  if (gate == scalarGate) {
    let through = sumThrough(chunk, i32(row), head);
    let known = min(column + vec4u(0, 1, 2, 3), vec4u(row));
    values *= vec4f(
      decayBetween(through, sumThrough(chunk, i32(known.x), head)),
      decayBetween(through, sumThrough(chunk, i32(known.y), head)),
      decayBetween(through, sumThrough(chunk, i32(known.z), head)),
      decayBetween(through, sumThrough(chunk, i32(known.w), head)),
    );
  }
  return select(vec4f(), values, metWriters(plane, reader, column) & vec4<bool>(reader < chunk.tokens));
}
