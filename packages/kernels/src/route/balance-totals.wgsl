// Second stage of the balance, one workgroup: the load of each memory, the weight of a row, and the loss.
const invocations = 256u;

struct Uniforms {
  memories: u32,
  chosen: u32,
  parts: u32,
}

@group(0) @binding(0) var<storage, read> partials: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> loss: array<f32>;
@group(0) @binding(2) var<storage, read_write> load: array<f32>;
@group(0) @binding(3) var<storage, read_write> rowWeight: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

var<workgroup> sums: array<f32, invocations>;

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32) {
  var weight = 0f;
  var sum = 0f;
  for (var memory = local; memory < sizes.memories; memory += invocations) {
    var total = vec4f();
    for (var part = 0u; part < sizes.parts; part++) {
      total += partials[part * sizes.memories + memory];
    }
    weight = 1 / max(total.z, 1);
    let share = total.x * weight / f32(sizes.chosen);
    load[memory] = share;
    sum += share * total.y * weight;
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
    loss[0] = sums[0] * f32(sizes.memories * sizes.chosen);
    rowWeight[0] = weight;
  }
}
