// Norms of the tensors, of all together, and the factor that clips: one workgroup, in a fixed order.
struct Uniforms {
  count: u32,
  clipNorm: f32,
  epsilon: f32,
}

@group(0) @binding(0) var<storage, read> squares: array<f32>;
@group(0) @binding(1) var<storage, read_write> norms: array<f32>;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<storage, read_write> clipFactor: array<f32>;
@group(0) @binding(4) var<uniform> sizes: Uniforms;

const invocations = 256u;

var<workgroup> sums: array<f32, invocations>;

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32) {
  var sum = 0f;
  for (var i = local; i < sizes.count; i += invocations) {
    norms[i] = sqrt(squares[i]);
    sum += squares[i];
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
    let whole = sqrt(sums[0]);
    norm[0] = whole;
    clipFactor[0] = min(1, sizes.clipNorm / (whole + sizes.epsilon));
  }
}
