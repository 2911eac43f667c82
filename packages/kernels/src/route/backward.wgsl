// d logits: with p the weights and d their gradients, p_j (d_j − Σ_i p_i d_i) for choice j, 0 for what was not chosen; to it comes the
// gradient of the logits that were passed on. An invocation has one number, so that it writes once all of its reads are on their way.
override isPassed: bool;

struct Uniforms {
  /** Of all rows. */
  logits: u32,
  memories: u32,
  chosen: u32,
}

@group(0) @binding(0) var<storage, read> choices: array<i32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read> dWeights: array<f32>;
@group(0) @binding(3) var<storage, read> dPassed: array<f32>;
@group(0) @binding(4) var<storage, read_write> dLogits: array<f32>;
@group(0) @binding(5) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let logit = (group.y * groups.x + group.x) * 64 + local;
  if (logit >= sizes.logits) {
    return;
  }
  let memory = i32(logit % sizes.memories);
  let first = logit / sizes.memories * sizes.chosen;
  var passed = 0f;
  if (isPassed) {
    passed = dPassed[logit];
  }
  var mean = 0f;
  var weight = 0f;
  var dWeight = 0f;
  for (var copy = first; copy < first + sizes.chosen; copy++) {
    mean += weights[copy] * dWeights[copy];
    if (choices[copy] == memory) {
      weight = weights[copy];
      dWeight = dWeights[copy];
    }
  }
  dLogits[logit] = passed + weight * (dWeight - mean);
}
