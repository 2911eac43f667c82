// From the gradients of y = βv and a = −β · erase to those of v, β and the erase key; where that is the write key, `writes` holds
// what it gets as such. 16 invocations have a row.
struct Uniforms {
  /** Tokens times heads. */
  rows: u32,
  keyWidth: u32,
  valueWidth: u32,
  hasBeta: u32,
  ownErase: u32,
}

const rowsAtOnce = 4u;
var<workgroup> products: array<f32, 16 * rowsAtOnce>;

@compute @workgroup_size(16, rowsAtOnce)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var first = group.x * rowsAtOnce; first < sizes.rows; first += groups.x * rowsAtOnce) {
    let row = first + local.y;
    let isRow = row < sizes.rows;
    var strength = 1f;
    if (isRow && sizes.hasBeta != 0) {
      strength = beta[row];
    }
    var product = 0f;
    if (isRow) {
      for (var column = 4 * local.x; column < sizes.valueWidth; column += 64) {
        let gradient = dYAt(row, column);
        putDV(row, column, strength * gradient);
        product += dot(gradient, vAt(row, column));
      }
      for (var column = 4 * local.x; column < sizes.keyWidth; column += 64) {
        let gradient = -dAAt(row, column);
        product += dot(gradient, eraseAt(row, column));
        var sum = strength * gradient;
        if (sizes.ownErase == 0) {
          sum += writesAt(row, column);
        }
        putDErase(row, column, sum);
      }
    }
    products[local.y * 16 + local.x] = product;
    workgroupBarrier();
    if (local.x == 0 && isRow) {
      var sum = 0f;
      for (var n = 0u; n < 16; n++) {
        sum += products[local.y * 16 + n];
      }
      dBeta[row] = sum;
    }
    workgroupBarrier();
  }
}
