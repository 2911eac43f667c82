// dℓ = dLoss / counted · (e^{ℓ − largest − logSum} − onehot(target)) in rows that count, 0 in the others, whatever they hold.
struct Uniforms {
  rows: u32,
  classes: i32,
  ignore: i32,
}

@group(0) @binding(0) var<storage, read> logits: array<Pack>;
@group(0) @binding(1) var<storage, read> targets: array<i32>;
@group(0) @binding(2) var<storage, read> largest: array<f32>;
@group(0) @binding(3) var<storage, read> logSum: array<f32>;
@group(0) @binding(4) var<storage, read> counted: array<f32>;
@group(0) @binding(5) var<storage, read> dLoss: array<f32>;
@group(0) @binding(6) var<storage, read_write> dLogits: array<Pack>;
@group(0) @binding(7) var<uniform> sizes: Uniforms;

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let scale = dLoss[0] / max(1, counted[0]);
  for (var row = group.x * slots + local.y; row < sizes.rows; row += groups.x * slots) {
    let label = targets[row];
    let isCounted = label >= 0 && label < sizes.classes && label != sizes.ignore;
    let start = row * packs;
    let shift = largest[row];
    let sum = logSum[row];
    for (var c = local.x; c < packs; c += lanes) {
      var slope = Pack();
      if (isCounted) {
        let power = exp(logits[start + c] - shift - sum);
        slope = scale * (power - select(Pack(), Pack(1), columnsOf(c) == Columns(u32(label))));
      }
      dLogits[start + c] = slope;
    }
  }
}
