// Zeros in the rows of no sequence; the others are left as they are.
struct Uniforms {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<storage, read> rowSequence: array<i32>;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var row = group.x; row < sizes.rows; row += groups.x) {
    if (rowSequence[row] < 0) {
      for (var c = local; c < sizes.width; c += 64) {
        x[row * sizes.width + c] = 0;
      }
    }
  }
}
