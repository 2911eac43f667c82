// Scores with the decay between reader and writer, 0 where they do not meet. Needs the binding `scores` in vectors, and of the
// text that it is part of `tokenSum`, b of a token; follows planes.wgsl.

/** The row that a reader's scores are in. One without a row before its own meets nobody. */
fn scoresRow(plane: u32, chunk: Chunk, reader: u32) -> u32 {
  return max(min(reader, chunk.tokens - 1), rowsBefore(plane)) - rowsBefore(plane);
}

/** As they are in memory. */
fn scoresNear(plane: u32, chunks: u32, chunk: Chunk, chunkIndex: u32, head: u32, reader: u32, column: u32) -> vec4f {
  return scores[rowOfPlane(plane, chunks, chunkIndex, head, scoresRow(plane, chunk, reader)) * 16 + column / 4];
}

fn metScores(scores: vec4f, plane: u32, chunk: Chunk, head: u32, reader: u32, column: u32) -> vec4f {
  var values = scores;
  if (gate == scalarGate) {
    let row = scoresRow(plane, chunk, reader);
    let through = tokenSum(chunk, head, row);
    let known = min(column + vec4u(0, 1, 2, 3), vec4u(row));
    values *= vec4f(
      decayBetween(through, tokenSum(chunk, head, known.x)),
      decayBetween(through, tokenSum(chunk, head, known.y)),
      decayBetween(through, tokenSum(chunk, head, known.z)),
      decayBetween(through, tokenSum(chunk, head, known.w)),
    );
  }
  return select(vec4f(), values, metWriters(plane, reader, column) & vec4<bool>(reader < chunk.tokens));
}
