// A group's gradient is the sum over its tiles, in their order. A workgroup has numbers of one group.
struct Uniforms {
  /** Numbers of one group. */
  size: u32,
  tileRows: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<Pack>;
@group(0) @binding(1) var<storage, read> lengths: array<i32>;
@group(0) @binding(2) var<storage, read_write> gradient: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

fn tilesOf(group: u32) -> u32 {
  return (u32(lengths[group]) + sizes.tileRows - 1) / sizes.tileRows;
}

@compute @workgroup_size(256)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
) {
  let packs = sizes.size / packWidth;
  var first = 0u;
  for (var g = 0u; g < group.y; g++) {
    first += tilesOf(g);
  }
  let end = first + tilesOf(group.y);
  for (var i = id.x; i < packs; i += workgroups.x * 256) {
    var sum = Pack();
    for (var tile = first; tile < end; tile++) {
      sum += parts[tile * packs + i];
    }
    gradient[group.y * packs + i] = sum;
  }
}
