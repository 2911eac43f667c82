// What the gradient needs of each query and head: ln Σ e^score, and dO · o, which is Σ_j P_j dP_j. And the largest |dO| that each
// workgroup has seen.
const lanes = 16u;
const rowsAtOnce = 16u;

var<workgroup> parts: array<array<f32, lanes>, rowsAtOnce>;

@compute @workgroup_size(lanes * rowsAtOnce)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = local % lanes;
  let own = local / lanes;
  let rows = sizes.rows * sizes.heads;
  var most = 0f;
  for (var first = group.x * rowsAtOnce; first < rows; first += groups.x * rowsAtOnce) {
    let row = min(first + own, rows - 1);
    var sum = vec4f();
    for (var column = 4 * lane; column < sizes.headWidth; column += 4 * lanes) {
      let slope = dOAt(row, column);
      sum = fma(oAt(row, column), slope, sum);
      let magnitude = abs(slope);
      most = max(most, max(max(magnitude.x, magnitude.y), max(magnitude.z, magnitude.w)));
    }
    parts[own][lane] = dot(sum, vec4f(1));
    workgroupBarrier();
    if (local < rowsAtOnce && first + local < rows) {
      var total = 0f;
      for (var i = 0u; i < lanes; i++) {
        total += parts[local][i];
      }
      stats[first + local] = vec2f(logSumExp[first + local], total);
    }
    workgroupBarrier();
  }
  parts[own][lane] = most;
  workgroupBarrier();
  for (var half = lanes * rowsAtOnce / 2; half > 0; half /= 2) {
    if (local < half) {
      let other = local + half;
      parts[own][lane] = max(parts[own][lane], parts[other / lanes][other % lanes]);
    }
    workgroupBarrier();
  }
  if (local == 0) {
    largest[group.x] = parts[0][0];
  }
}
