// d logits of the balance: with p the softmax of a real row, M·K·dLoss·(weight of a row)·p_m (load_m − Σ_i p_i load_i).
struct Uniforms {
  rows: u32,
  memories: u32,
  chosen: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> rowSequence: array<i32>;
@group(0) @binding(2) var<storage, read> load: array<f32>;
@group(0) @binding(3) var<storage, read> rowWeight: array<f32>;
@group(0) @binding(4) var<storage, read> dLoss: array<f32>;
@group(0) @binding(5) var<storage, read_write> dLogits: array<f32>;
@group(0) @binding(6) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64 + local;
  if (row >= sizes.rows) {
    return;
  }
  let start = row * sizes.memories;
  let largest = largestOf(start);
  let total = totalOf(start, largest);
  var mean = 0f;
  for (var m = 0u; m < sizes.memories; m++) {
    mean += exp(logits[start + m] - largest) / total * load[m];
  }
  let scale = f32(sizes.memories * sizes.chosen) * dLoss[0] * rowWeight[0] / total;
  for (var m = 0u; m < sizes.memories; m++) {
    let slope = scale * exp(logits[start + m] - largest) * (load[m] - mean);
    dLogits[start + m] = select(0, slope, rowSequence[row] >= 0);
  }
}
