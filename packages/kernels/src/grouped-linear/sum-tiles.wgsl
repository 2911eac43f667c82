// dW of a group is the sum over its tiles, in their order.
struct Uniforms {
  groups: u32,
  /** Numbers of one weight. */
  size: u32,
  tileRows: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<Pack>;
@group(0) @binding(1) var<storage, read> lengths: array<i32>;
@group(0) @binding(2) var<storage, read_write> dWeight: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let packs = sizes.size / packWidth;
  for (var i = id.x; i < sizes.groups * packs; i += groups.x * 256) {
    let own = i / packs;
    var tile = 0u;
    for (var g = 0u; g < own; g++) {
      tile += (u32(lengths[g]) + sizes.tileRows - 1) / sizes.tileRows;
    }
    let end = tile + (u32(lengths[own]) + sizes.tileRows - 1) / sizes.tileRows;
    var sum = Pack();
    for (; tile < end; tile++) {
      sum += parts[tile * packs + i % packs];
    }
    dWeight[i] = sum;
  }
}
