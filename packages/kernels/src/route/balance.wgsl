// First stage of the balance: of a memory, in a part of the rows, how often it was chosen, its probabilities added up, and the number
// of real rows.
const invocations = 256u;

struct Uniforms {
  rows: u32,
  memories: u32,
  chosen: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> choices: array<i32>;
@group(0) @binding(2) var<storage, read> rowSequence: array<i32>;
/** [parts, memories, 4]; the last of the four is unused. */
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

var<workgroup> sums: array<vec4f, invocations>;

@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let memory = group.x;
  var sum = vec4f();
  for (var row = group.y * invocations + local; row < sizes.rows; row += groups.y * invocations) {
    if (rowSequence[row] >= 0) {
      let start = row * sizes.memories;
      let largest = largestOf(start);
      var count = 0f;
      for (var j = 0u; j < sizes.chosen; j++) {
        count += select(0f, 1f, choices[row * sizes.chosen + j] == i32(memory));
      }
      sum += vec4f(count, exp(logits[start + memory] - largest) / totalOf(start, largest), 1, 0);
    }
  }
  sums[local] = sum;
  workgroupBarrier();
  for (var half = invocations / 2; half > 0; half /= 2) {
    if (local < half) {
      sums[local] += sums[local + half];
    }
    workgroupBarrier();
  }
  if (local == 0) {
    partials[group.y * sizes.memories + memory] = sums[0];
  }
}
