// What the gradients of one tensor's rows read, and their part of the weight's.
fn valueAt(at: u32) -> Pack {
  return x[at];
}

fn slopeAt(at: u32) -> Pack {
  return dy[at];
}

fn leaveDWeight(at: u32, value: Pack) {
  partialDWeight[at] = value;
}
