// The definition, token by token, for a few tokens: S ← e^g S + k vᵀ, o = scale · Sᵀq, or with a bonus u of the S before and
// u ⊙ k vᵀ. A workgroup has 64 columns of one sequence's and head's state; an invocation every 4th row of one column. The
// state stays in the output buffer, where each invocation sees its own entries alone.
struct Uniforms {
  heads: u32,
  keyWidth: u32,
  valueWidth: u32,
  /** 0 none, 1 one a token and head, 2 one a key channel. */
  gate: u32,
  hasInitial: u32,
  hasBonus: u32,
  scale: f32,
}

const rowGroups = 4u;
var<workgroup> parts: array<f32, 64 * rowGroups>;

@compute @workgroup_size(64, rowGroups)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let column = group.x * 64 + local.x;
  let head = group.y;
  let isColumn = column < sizes.valueWidth;
  let start = u32(starts[group.z]);
  let length = u32(lengths[group.z]);
  let lane = (group.z * sizes.heads + head) * sizes.keyWidth;
  if (isColumn) {
    for (var row = local.y; row < sizes.keyWidth; row += rowGroups) {
      let at = (lane + row) * sizes.valueWidth + column;
      if (sizes.hasInitial != 0) {
        state[at] = initialState[at];
      } else {
        state[at] = 0;
      }
    }
  }
  for (var t = 0u; t < length; t++) {
    let token = (start + t) * sizes.heads + head;
    var sum = 0f;
    if (isColumn) {
      let value = v[token * sizes.valueWidth + column];
      for (var row = local.y; row < sizes.keyWidth; row += rowGroups) {
        let at = (lane + row) * sizes.valueWidth + column;
        let key = token * sizes.keyWidth + row;
        let before = state[at];
        let write = k[key] * value;
        var after = before;
        if (sizes.gate != 0) {
          after *= exp(logDecay[select(key, token, sizes.gate == 1)]);
        }
        after += write;
        state[at] = after;
        if (sizes.hasBonus != 0) {
          sum += q[key] * (before + bonus[head * sizes.keyWidth + row] * write);
        } else {
          sum += q[key] * after;
        }
      }
    }
    parts[local.y * 64 + local.x] = sum;
    workgroupBarrier();
    if (local.y == 0 && isColumn) {
      for (var n = 1u; n < rowGroups; n++) {
        sum += parts[n * 64 + local.x];
      }
      o[token * sizes.valueWidth + column] = sizes.scale * sum;
    }
    workgroupBarrier();
  }
}
