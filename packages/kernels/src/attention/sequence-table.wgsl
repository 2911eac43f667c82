// First row, rows, tokens seen before, and the tile that packed rows begin at (pack.wgsl), of each sequence.
struct Uniforms {
  sequences: u32,
  isContinued: u32,
  isPacked: u32,
}

@group(0) @binding(0) var<storage, read> starts: array<i32>;
@group(0) @binding(1) var<storage, read> lengths: array<i32>;
@group(0) @binding(2) var<storage, read> position: array<f32>;
@group(0) @binding(3) var<storage, read_write> table: array<vec4i>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

/** Rows of a tile. */
const tile = 64;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < sizes.sequences) {
    let seen = select(0, i32(round(position[min(id.x, arrayLength(&position) - 1)])), sizes.isContinued != 0);
    var packed = 0;
    for (var before = 0u; before < select(0, id.x, sizes.isPacked != 0); before++) {
      packed += (lengths[before] + tile - 1) / tile;
    }
    table[id.x] = vec4i(starts[id.x], lengths[id.x], seen, packed);
  }
}
