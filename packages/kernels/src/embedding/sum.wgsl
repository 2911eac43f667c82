// The gradient of each row that has tokens: the sum of theirs. A workgroup has 32 packs of a row; its slots stride over the
// tokens and are then added up, all in a fixed order.
struct Uniforms {
  packs: u32, // of a row
}

@group(0) @binding(0) var<storage, read> totals: array<u32>;
@group(0) @binding(1) var<storage, read> used: array<u32>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> ordered: array<u32>;
@group(0) @binding(5) var<storage, read> dy: array<Pack>;
@group(0) @binding(6) var<storage, read_write> dWeight: array<Pack>;
@group(0) @binding(7) var<uniform> sizes: Uniforms;

const lanes = 32u;
const slots = 8u;

var<workgroup> sums: array<Pack, lanes * slots>;

/** Of the row's token j; nothing if it has no more than j. */
fn gradientOf(start: u32, count: u32, j: u32, c: u32) -> Pack {
  return select(Pack(), dy[ordered[start + min(j, count - 1)] * sizes.packs + c], j < count);
}

@compute @workgroup_size(lanes, slots)
fn main(
  @builtin(local_invocation_id) local: vec3u,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let c = group.y * lanes + local.x;
  let slot = local.y;
  for (var i = group.x; i < totals[1]; i += groups.x) {
    let row = used[i];
    let start = starts[row];
    let count = counts[row];
    var sum = Pack();
    if (c < sizes.packs) {
      for (var j = slot; j < count; j += 4 * slots) {
        // Four reads in flight.
        sum += (gradientOf(start, count, j, c) + gradientOf(start, count, j + slots, c)) +
          (gradientOf(start, count, j + 2 * slots, c) + gradientOf(start, count, j + 3 * slots, c));
      }
    }
    sums[slot * lanes + local.x] = sum;
    workgroupBarrier();
    if (slot == 0 && c < sizes.packs) {
      for (var s = 1u; s < slots; s++) {
        sum += sums[s * lanes + local.x];
      }
      dWeight[row * sizes.packs + c] = sum;
    }
    workgroupBarrier();
  }
}
