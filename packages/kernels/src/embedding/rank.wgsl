// The tokens of each row, in order. The invocations of a row's tokens look through the same few places, one after the other.
struct Uniforms {
  tokens: u32,
  rows: u32,
}

@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> arrived: array<u32>;
@group(0) @binding(4) var<storage, read_write> ordered: array<u32>;
@group(0) @binding(5) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var token = id.x; token < sizes.tokens; token += groups.x * 256) {
    let row = u32(ids[token]);
    if (row < sizes.rows) {
      let start = starts[row];
      let end = start + counts[row];
      var rank = 0u;
      for (var place = start; place < end; place++) {
        rank += u32(arrived[place] < token);
      }
      ordered[start + rank] = token;
    }
  }
}
