// Operands of the gradients' products.
const ofQueries = 0u;
const ofKeys = 1u;
const ofValues = 2u;
const ofGradients = 3u;

fn vectorOf(which: u32, operands: Operands, row: u32, column: u32) -> vec4f {
  if (which == ofQueries || which == ofGradients) {
    let at = queryRow(operands.queries, row);
    if (which == ofQueries) {
      return qAt(at, column);
    }
    return dOAt(at, column);
  }
  let at = keyRow(operands.keys, operands.key + i32(row));
  if (which == ofKeys) {
    return kAt(at, column);
  }
  return vAt(at, column);
}
