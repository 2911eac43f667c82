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

fn scoreAt(start: u32, m: u32) -> f32 {
  return logits[start + min(m, sizes.memories - 1)];
}

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
    for (var begin = 0u; begin < sizes.memories; begin += 4) {
      // A loop waits for what it reads: four at once.
      let scores = vec4f(
        scoreAt(start, begin),
        scoreAt(start, begin + 1),
        scoreAt(start, begin + 2),
        scoreAt(start, begin + 3),
      );
      for (var i = 0u; i < 4; i++) {
        let m = begin + i;
        let score = scores[i];
        let follows = j == 0 || score < last || (score == last && m > lastIndex);
        if (m < sizes.memories && follows && (bestIndex == sizes.memories || score > best)) {
          best = score;
          bestIndex = m;
        }
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
