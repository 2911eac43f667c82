// Counts the tokens of each row of the table. A token's arrival is how many of its row were counted before it; which ones
// varies from run to run.
struct Uniforms {
  tokens: u32,
  rows: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read_write> counts: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> arrivals: array<u32>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var token = id.x; token < sizes.tokens; token += groups.x * 256) {
    let row = u32(ids[token]); // −1 is beyond the rows
    if (row < sizes.rows) {
      arrivals[token] = atomicAdd(&counts[row], 1);
    }
  }
}
