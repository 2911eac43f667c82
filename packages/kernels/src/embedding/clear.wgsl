// Zeros: the gradient of rows that no token has, and what the tokens are counted in.
struct Uniforms {
  rows: u32,
  count: u32, // of packs of the table
}

@group(0) @binding(0) var<storage, read_write> counts: array<u32>;
@group(0) @binding(1) var<storage, read_write> totals: array<u32>;
@group(0) @binding(2) var<storage, read_write> dWeight: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    dWeight[i] = Pack();
  }
  for (var row = id.x; row < sizes.rows; row += groups.x * 256) {
    counts[row] = 0;
  }
  if (id.x < 2) {
    totals[id.x] = 0;
  }
}
