// How far each row lies from the weighted average of those before it in its sequence. A workgroup has a row at a time, whose columns
// its invocations share. What stands before this text: `taps` and their number, `reach` (gpu.ts).
const invocations = 64u;
const l2 = 0u;
const l1 = 1u;
/** Keeps the relative error of two zero vectors at 0. */
const leastSize = 1e-6;

override error: u32;

struct Uniforms {
  rows: u32,
  width: u32,
  /** Vectors of each sequence in `before`. */
  history: u32,
  hasPosition: u32,
}

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> before: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<f32>;
@group(0) @binding(3) var<storage, read> starts: array<i32>;
@group(0) @binding(4) var<storage, read> rowSequence: array<i32>;
@group(0) @binding(5) var<storage, read_write> e: array<f32>;
@group(0) @binding(6) var<uniform> sizes: Uniforms;

/** Σ|y − ŷ|, Σ(y − ŷ)², Σ(y² + ŷ²). */
var<workgroup> sums: array<vec3f, invocations>;

@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  for (var row = group.x; row < sizes.rows; row += groups.x) {
    let sequence = rowSequence[row];
    var own = vec3f();
    if (sequence >= 0) {
      let t = row - u32(starts[sequence]);
      var predecessors = t;
      if (sizes.hasPosition != 0) {
        predecessors += u32(round(position[sequence]));
      }
      predecessors = min(predecessors, reach);
      var total = 0f;
      for (var i = 0u; i < reach; i++) {
        total += select(0f, taps[i], i < predecessors);
      }
      for (var c = local; c < sizes.width; c += invocations) {
        var expected = 0f;
        for (var i = 0u; i < reach; i++) {
          if (i < predecessors) {
            if (i < t) {
              expected += taps[i] * y[(row - i - 1) * sizes.width + c];
            } else {
              expected += taps[i] * before[((u32(sequence) + 1) * sizes.history + t - i - 1) * sizes.width + c];
            }
          }
        }
        expected = select(0f, expected / total, predecessors > 0);
        let found = y[row * sizes.width + c];
        let residual = found - expected;
        own += vec3f(abs(residual), residual * residual, found * found + expected * expected);
      }
    }
    sums[local] = own;
    workgroupBarrier();
    for (var half = invocations / 2; half > 0; half /= 2) {
      if (local < half) {
        sums[local] += sums[local + half];
      }
      workgroupBarrier();
    }
    if (local == 0) {
      let sum = sums[0];
      if (error == l1) {
        e[row] = sum.x;
      } else if (error == l2) {
        e[row] = sum.y;
      } else {
        e[row] = sum.y / (sum.z + leastSize);
      }
    }
    workgroupBarrier();
  }
}
