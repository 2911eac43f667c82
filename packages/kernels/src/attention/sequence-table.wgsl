// First row, rows, and tokens seen before, of each sequence.
struct Uniforms {
  sequences: u32,
  isContinued: u32,
}

@group(0) @binding(0) var<storage, read> starts: array<i32>;
@group(0) @binding(1) var<storage, read> lengths: array<i32>;
@group(0) @binding(2) var<storage, read> position: array<f32>;
@group(0) @binding(3) var<storage, read_write> table: array<vec4i>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < sizes.sequences) {
    let seen = select(0, i32(round(position[min(id.x, arrayLength(&position) - 1)])), sizes.isContinued != 0);
    table[id.x] = vec4i(starts[id.x], lengths[id.x], seen, 0);
  }
}
