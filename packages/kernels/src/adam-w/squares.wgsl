// Σx² of the tensors of one dispatch, in parts. What stands before and behind this text is written for their number.
const invocations = 256u;

var<workgroup> sums: array<f32, invocations>;

/** Leaves what a workgroup has found of one tensor. Rows of the tensor's column that no workgroup has get zeros. */
fn leave(sum: f32, column: u32, local: u32, group: u32, groups: u32) {
  sums[local] = sum;
  workgroupBarrier();
  for (var half = invocations / 2; half > 0; half /= 2) {
    if (local < half) {
      sums[local] += sums[local + half];
    }
    workgroupBarrier();
  }
  for (var row = group + groups * local; row < sizes.rows; row += groups * invocations) {
    partials[row * sizes.tensors + column] = select(0, sums[0], row == group);
  }
}
