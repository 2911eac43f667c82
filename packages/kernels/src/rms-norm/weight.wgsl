// What rows are scaled by besides, where there is a weight.
fn scaleAt(c: u32) -> Pack {
  if (isWeighted) {
    return weight[c];
  }
  return Pack(1);
}
