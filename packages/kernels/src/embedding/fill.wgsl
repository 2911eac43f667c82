// The tokens of each row, by arrival.
struct Uniforms {
  tokens: u32,
  rows: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read> starts: array<u32>;
@group(0) @binding(2) var<storage, read> arrivals: array<u32>;
@group(0) @binding(3) var<storage, read_write> arrived: array<u32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var token = id.x; token < sizes.tokens; token += groups.x * 256) {
    let row = u32(ids[token]);
    if (row < sizes.rows) {
      arrived[starts[row] + arrivals[token]] = token;
    }
  }
}
