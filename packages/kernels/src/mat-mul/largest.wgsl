// The largest magnitudes of A and B, in parts: each workgroup leaves that of the values it has looked at.
struct Sizes {
  countA: u32,
  countB: u32,
}

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>; // those of A, then those of B
@group(0) @binding(3) var<uniform> sizes: Sizes;

const invocations = 256u;
const atOnce = 8u; // independent reads in flight

var<workgroup> largest: array<f32, invocations>;

@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  var found = 0f;
  let step = groups.x * invocations;
  let count = select(sizes.countB, sizes.countA, group.y == 0);
  for (var i = group.x * invocations + local; i < count; i += atOnce * step) {
    for (var r = 0u; r < atOnce; r++) {
      // Beyond the end the last one again.
      let at = min(i + r * step, count - 1);
      if (group.y == 0) {
        found = max(found, abs(a[at]));
      } else {
        found = max(found, abs(b[at]));
      }
    }
  }
  largest[local] = found;
  workgroupBarrier();
  for (var half = invocations / 2; half > 0; half /= 2) {
    if (local < half) {
      largest[local] = max(largest[local], largest[local + half]);
    }
    workgroupBarrier();
  }
  if (local == 0) {
    partials[group.y * groups.x + group.x] = largest[0];
  }
}
