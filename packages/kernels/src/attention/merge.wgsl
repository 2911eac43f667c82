// Puts together what parts of the keys gave (few.wgsl), each weighed by its share of the sum of exponentials.
@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let rows = sizes.rows * sizes.heads;
  for (var row = group.x; row < rows; row += groups.x) {
    let before = select(f32(hidden), logSumExp[row], sizes.continues != 0);
    var most = before;
    for (var part = 0u; part < sizes.parts; part++) {
      most = max(most, partLogSumExp[part * rows + row]);
    }
    let own = select(0f, exp(before - most), before > hidden);
    // Everybody has read it before it is replaced.
    storageBarrier();
    for (var column = 4 * local; column < sizes.headWidth; column += 4 * 64) {
      var sum = vec4f();
      if (sizes.continues != 0) {
        sum = own * oAt(row, column);
      }
      var whole = own;
      for (var part = 0u; part < sizes.parts; part++) {
        let other = partLogSumExp[part * rows + row];
        let share = select(0f, exp(other - most), other > hidden);
        sum = fma(vec4f(share), partsAt(part * rows + row, column), sum);
        whole += share;
      }
      putO(row, column, select(vec4f(), sum / whole, whole > 0));
      if (column == 0) {
        logSumExp[row] = select(f32(hidden), most + log(whole), whole > 0);
      }
    }
  }
}
