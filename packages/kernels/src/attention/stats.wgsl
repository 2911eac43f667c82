// What the gradient needs of each query and head: ln Σ e^score, and dO · o, which is Σ_j P_j dP_j.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var row = id.x; row < sizes.rows * sizes.heads; row += groups.x * 64) {
    var sum = vec4f();
    for (var column = 0u; column < sizes.headWidth; column += 4) {
      sum += oAt(row, column) * dOAt(row, column);
    }
    stats[row] = vec2f(logSumExp[row], dot(sum, vec4f(1)));
  }
}
