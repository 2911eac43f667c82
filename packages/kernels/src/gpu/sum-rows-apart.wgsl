// As sum-rows.wgsl, for rows of two parts that go to different outputs: y[c] = Σ_r x[r, c] for the columns before `split`, and
// z[c − split] for those from there on.
const columns = 32u;
const slots = 8u;

struct Uniforms {
  rows: u32,
  width: u32,
  split: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> z: array<f32>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

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
  if (local.y > 0 || column >= sizes.width) {
    return;
  }
  for (var slot = 1u; slot < slots; slot++) {
    sum += sums[slot * columns + local.x];
  }
  if (column < sizes.split) {
    y[column] = sum;
  } else {
    z[column - sizes.split] = sum;
  }
}
