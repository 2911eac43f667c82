// db of a group is the sum of its rows of dy. A workgroup has 16 neighbouring columns of one group; its 16 rows of invocations stride
// over the rows and are then added up in a fixed order.
const columns = 16u;
const slots = 16u;

struct Uniforms {
  width: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> starts: array<i32>;
@group(0) @binding(2) var<storage, read> lengths: array<i32>;
@group(0) @binding(3) var<storage, read_write> dBias: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

var<workgroup> sums: array<f32, columns * slots>;

@compute @workgroup_size(columns, slots)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let column = group.x * columns + local.x;
  let start = u32(starts[group.y]);
  let length = u32(lengths[group.y]);
  var sum = 0f;
  if (column < sizes.width) {
    for (var row = local.y; row < length; row += slots) {
      sum += dy[(start + row) * sizes.width + column];
    }
  }
  sums[local.y * columns + local.x] = sum;
  workgroupBarrier();
  if (local.y == 0 && column < sizes.width) {
    for (var slot = 1u; slot < slots; slot++) {
      sum += sums[slot * columns + local.x];
    }
    dBias[group.y * sizes.width + column] = sum;
  }
}
