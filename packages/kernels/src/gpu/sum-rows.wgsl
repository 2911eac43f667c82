// y[c] = Σ_r x[r, c]. A workgroup sums `columns` neighbouring columns; its `slots` rows of invocations stride
// over the rows and are then added up in a fixed order, so that the same input always gives the same bits.
override columns: u32;
override slots: u32;

struct Uniforms {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Uniforms;

var<workgroup> sums: array<f32, columns * slots>;

@compute @workgroup_size(columns, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let column = (group.y * groups.x + group.x) * columns + local.x;
  var sum = 0f;
  if (column < sizes.width) {
    for (var row = local.y; row < sizes.rows; row += slots) {
      sum += x[row * sizes.width + column];
    }
  }
  sums[local.y * columns + local.x] = sum;
  workgroupBarrier();
  if (local.y == 0 && column < sizes.width) {
    for (var slot = 1u; slot < slots; slot++) {
      sum += sums[slot * columns + local.x];
    }
    y[column] = sum;
  }
}
