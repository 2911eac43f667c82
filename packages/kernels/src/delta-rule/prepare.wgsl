// The delta rule as a scan whose transition is diagonal plus low rank: a = −β · erase, y = βv.
struct Uniforms {
  /** Tokens times heads. */
  rows: u32,
  keyWidth: u32,
  valueWidth: u32,
  hasBeta: u32,
}

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = group.x; row < sizes.rows; row += groups.x) {
    var strength = 1f;
    if (sizes.hasBeta != 0) {
      strength = beta[row];
    }
    for (var column = 4 * local; column < sizes.keyWidth; column += 256) {
      putA(row, column, -strength * eraseAt(row, column));
    }
    for (var column = 4 * local; column < sizes.valueWidth; column += 256) {
      putY(row, column, strength * vAt(row, column));
    }
  }
}
