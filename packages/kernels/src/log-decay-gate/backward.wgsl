// Gradients of g = −e^{aLog}·softplus(z) with z = a + dtBias: da = −dg·e^{aLog}·σ(z), d dtBias = Σ da, d aLog = Σ dg·g. A workgroup has
// `lanes` heads and strides over rows, `slots` at a time; it leaves its part of the sums, of d aLog before those of d dtBias. What stands before this text: the
// bindings, and `alongside`.
override lanes: u32;
override slots: u32;

struct Uniforms {
  rows: u32,
  heads: u32,
}

var<workgroup> sums: array<vec2f, lanes * slots>;

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let head = group.y * lanes + local.x;
  var sum = vec2f();
  if (head < sizes.heads) {
    let rate = -exp(aLog[head]);
    for (var row = group.x * slots + local.y; row < sizes.rows; row += groups.x * slots) {
      let at = row * sizes.heads + head;
      let z = a[at] + dtBias[head];
      let scaled = dg[at] * rate;
      let slope = scaled * sigmoid(z);
      dA[at] = slope;
      alongside(at);
      sum += vec2f(scaled * softplus(z), slope);
    }
  }
  sums[local.y * lanes + local.x] = sum;
  workgroupBarrier();
  if (local.y > 0 || head >= sizes.heads) {
    return;
  }
  for (var slot = 1u; slot < slots; slot++) {
    sum += sums[slot * lanes + local.x];
  }
  let at = group.x * 2 * sizes.heads + head;
  partials[at] = sum.x;
  partials[at + sizes.heads] = sum.y;
}
