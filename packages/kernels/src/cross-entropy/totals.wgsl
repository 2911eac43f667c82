// Mean loss, hits and rows that count, from what the workgroups of forward.wgsl have left: one workgroup, in a fixed order.
struct Uniforms {
  count: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> loss: array<f32>;
@group(0) @binding(2) var<storage, read_write> correct: array<f32>;
@group(0) @binding(3) var<storage, read_write> counted: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

const invocations = 256u;
var<workgroup> sums: array<vec4f, invocations>;

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = vec4f();
  for (var i = local; i < sizes.count; i += invocations) {
    sum += partials[i];
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
    let total = sums[0];
    loss[0] = total.x / max(1, total.z);
    correct[0] = total.y;
    counted[0] = total.z;
  }
}
