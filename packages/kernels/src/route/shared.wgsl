// One more choice behind those of each row: memory `memory`, with weight 1.
struct Uniforms {
  rows: u32,
  chosen: u32,
  memory: u32,
}

@group(0) @binding(0) var<storage, read> choices: array<i32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> allChoices: array<i32>;
@group(0) @binding(3) var<storage, read_write> allWeights: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = (group.y * groups.x + group.x) * 64 + local;
  if (row >= sizes.rows) {
    return;
  }
  let start = row * (sizes.chosen + 1);
  for (var j = 0u; j < sizes.chosen; j++) {
    allChoices[start + j] = choices[row * sizes.chosen + j];
    allWeights[start + j] = weights[row * sizes.chosen + j];
  }
  allChoices[start + sizes.chosen] = i32(sizes.memory);
  allWeights[start + sizes.chosen] = 1;
}
