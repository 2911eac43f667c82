// The sum of a tile's rows of dy: a part of its group's db. A workgroup has 32 neighbouring columns; its 8 rows of invocations stride
// over the rows, and are then added up in a fixed order.
const columns = 32u;
const slots = 8u;
const atOnce = 4u; // independent reads in flight

struct Uniforms {
  width: u32,
  tileRows: u32,
  groups: u32,
}

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> starts: array<i32>;
@group(0) @binding(2) var<storage, read> lengths: array<i32>;
@group(0) @binding(3) var<storage, read_write> parts: array<f32>; // [tiles, width]
@group(0) @binding(4) var<uniform> sizes: Uniforms;

var<workgroup> sums: array<f32, columns * slots>;

@compute @workgroup_size(columns, slots)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let column = group.x * columns + local.x;
  let own = findTile(group.y, sizes.tileRows);
  var sum = 0f;
  if (column < sizes.width) {
    for (var row = local.y; row < own.rows; row += atOnce * slots) {
      for (var r = 0u; r < atOnce; r++) {
        let inTile = row + r * slots;
        let value = dy[(own.start + min(inTile, own.rows - 1)) * sizes.width + column];
        sum += select(0, value, inTile < own.rows);
      }
    }
  }
  sums[local.y * columns + local.x] = sum;
  workgroupBarrier();
  if (local.y == 0 && column < sizes.width) {
    for (var slot = 1u; slot < slots; slot++) {
      sum += sums[slot * columns + local.x];
    }
    parts[group.y * sizes.width + column] = sum;
  }
}
