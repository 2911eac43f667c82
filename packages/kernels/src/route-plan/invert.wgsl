// The inverse of the copies' positions. Rows below `total` are each written once, by the copy that lies
// there; the rows from `total` on, which hold no copy, are written by the invocation of their own number.
struct Uniforms {
  copies: u32,
  chosen: u32,
}

@group(0) @binding(0) var<storage, read> position: array<i32>;
@group(0) @binding(1) var<storage, read> bucket: array<i32>;
@group(0) @binding(2) var<storage, read> total: array<i32>;
@group(0) @binding(3) var<storage, read_write> source: array<i32>;
@group(0) @binding(4) var<storage, read_write> rowBucket: array<i32>;
@group(0) @binding(5) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var copy = id.x; copy < sizes.copies; copy += groups.x * 256) {
    let place = position[copy];
    if (place >= 0) {
      source[place] = i32(copy / sizes.chosen);
      rowBucket[place] = bucket[copy];
    }
    if (i32(copy) >= total[0]) {
      source[copy] = -1;
      rowBucket[copy] = -1;
    }
  }
}
