// Each row that has tokens gets as many places in a row; where they lie among those of other rows varies from run to run.
struct Uniforms {
  tokens: u32,
  rows: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read> arrivals: array<u32>;
@group(0) @binding(3) var<storage, read_write> totals: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> starts: array<u32>; // of each row that has tokens
@group(0) @binding(5) var<storage, read_write> used: array<u32>; // the rows that have tokens
@group(0) @binding(6) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var token = id.x; token < sizes.tokens; token += groups.x * 256) {
    let row = u32(ids[token]);
    if (row < sizes.rows && arrivals[token] == 0) {
      starts[row] = atomicAdd(&totals[0], counts[row]);
      used[atomicAdd(&totals[1], 1)] = row;
    }
  }
}
