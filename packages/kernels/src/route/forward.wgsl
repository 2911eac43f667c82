// The K largest of each row's scores, the largest first and among equal ones the lowest index first, and the softmax over them. An
// invocation has a row. What follows a choice in that order is what is smaller, or equal and behind it: nothing is marked.
struct Uniforms {
  rows: u32,
  memories: u32,
  chosen: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read_write> choices: array<i32>;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = (group.y * groups.x + group.x) * 64 + local;
  if (row >= sizes.rows) {
    return;
  }
  let start = row * sizes.memories;
  let first = row * sizes.chosen;
  var largest = 0f;
  var last = 0f;
  var lastIndex = 0u;
  var total = 0f;
  for (var j = 0u; j < sizes.chosen; j++) {
    // Indices from `memories` on: none found yet.
    var best = 0f;
    var bestIndex = sizes.memories;
    for (var m = 0u; m < sizes.memories; m++) {
      let score = logits[start + m];
      let follows = j == 0 || score < last || (score == last && m > lastIndex);
      if (follows && (bestIndex == sizes.memories || score > best)) {
        best = score;
        bestIndex = m;
      }
    }
    if (j == 0) {
      largest = best;
    }
    last = best;
    lastIndex = bestIndex;
    choices[first + j] = i32(bestIndex);
    // Equal scores may both be −∞, whose difference is no number.
    let power = select(exp(best - largest), 1, best == largest);
    weights[first + j] = power;
    total += power;
  }
  for (var j = 0u; j < sizes.chosen; j++) {
    weights[first + j] /= total;
  }
}
