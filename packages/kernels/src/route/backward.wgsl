// d logits: with p the weights and d their gradients, p_j (d_j − Σ_i p_i d_i) for choice j, 0 for what was not chosen.
struct Uniforms {
  rows: u32,
  memories: u32,
  chosen: u32,
}

@group(0) @binding(0) var<storage, read> choices: array<i32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> dWeights: array<f32>;
@group(0) @binding(3) var<storage, read_write> dLogits: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64 + local;
  if (row >= sizes.rows) {
    return;
  }
  let start = row * sizes.memories;
  let first = row * sizes.chosen;
  var mean = 0f;
  for (var copy = first; copy < first + sizes.chosen; copy++) {
    mean += weights[copy] * dWeights[copy];
  }
  for (var m = 0u; m < sizes.memories; m++) {
    dLogits[start + m] = 0;
  }
  for (var copy = first; copy < first + sizes.chosen; copy++) {
    // A row of NaN has no second choice.
    if (u32(choices[copy]) < sizes.memories) {
      dLogits[start + u32(choices[copy])] = weights[copy] * (dWeights[copy] - mean);
    }
  }
}
