// The definition, token by token, for a few tokens: of the delta rule
//
//     S ← e^g S        v̂ = β (v − Sᵀ erase)        S ← S + k v̂ᵀ
//
// where the erase key sees the state before its decay or behind it, or (`isDelta` is 0) of a transition that is diagonal plus
// low rank
//
//     v̂ = Sᵀ a        S ← e^g S + b v̂ᵀ + k vᵀ
//
// and o = scale · Sᵀ q. A workgroup has 64 columns of one sequence's and head's state; an invocation every 4th row of one
// column. The state stays in the output buffer, where each invocation sees its own entries alone. `recall` is the erase key
// or a, `write` is β or b.
struct Uniforms {
  heads: u32,
  keyWidth: u32,
  valueWidth: u32,
  /** 0 none, 1 one a token and head, 2 one a key channel. */
  gate: u32,
  hasInitial: u32,
  /** Recall keys see the state before the token's decay. */
  before: u32,
  isDelta: u32,
  hasBeta: u32,
  /** Of each sequence, where all are equally long. */
  tokens: u32,
  scale: f32,
}

const rowGroups = 4u;
/** Partial sums of 64 columns: of what is recalled, and of what is read. */
var<workgroup> parts: array<f32, 2 * 64 * rowGroups>;
const ofReads = 64 * rowGroups;

fn decayOf(key: u32, token: u32) -> f32 {
  if (sizes.gate == 0) {
    return 1;
  }
  return exp(logDecay[select(key, token, sizes.gate == 1)]);
}

/** An entry of the state before token t. */
fn stateBefore(t: u32, at: u32) -> f32 {
  if (t > 0) {
    return state[at];
  }
  if (sizes.hasInitial != 0) {
    return initialState[at];
  }
  return 0;
}

fn total(first: u32, column: u32) -> f32 {
  var sum = 0f;
  for (var n = 0u; n < rowGroups; n++) {
    sum += parts[first + n * 64 + column];
  }
  return sum;
}

@compute @workgroup_size(64, rowGroups)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let column = group.x * 64 + local.x;
  let head = group.y;
  let isColumn = column < sizes.valueWidth;
  let start = startOf(group.z);
  let length = lengthOf(group.z);
  let lane = (group.z * sizes.heads + head) * sizes.keyWidth;
  if (isColumn && length == 0) {
    for (var row = local.y; row < sizes.keyWidth; row += rowGroups) {
      let at = (lane + row) * sizes.valueWidth + column;
      state[at] = stateBefore(0, at);
    }
  }
  for (var t = 0u; t < length; t++) {
    let token = (start + t) * sizes.heads + head;
    var recalled = 0f;
    if (isColumn) {
      for (var row = local.y; row < sizes.keyWidth; row += rowGroups) {
        let key = token * sizes.keyWidth + row;
        var seen = stateBefore(t, (lane + row) * sizes.valueWidth + column);
        if (sizes.before == 0) {
          seen *= decayOf(key, token);
        }
        recalled += recall[key] * seen;
      }
    }
    parts[local.y * 64 + local.x] = recalled;
    workgroupBarrier();
    recalled = total(0, local.x);

    var sum = 0f;
    var written = recalled;
    if (isColumn) {
      let value = v[token * sizes.valueWidth + column];
      if (sizes.isDelta != 0) {
        written = value - recalled;
        if (sizes.hasBeta != 0) {
          written *= write[token];
        }
      }
      for (var row = local.y; row < sizes.keyWidth; row += rowGroups) {
        let at = (lane + row) * sizes.valueWidth + column;
        let key = token * sizes.keyWidth + row;
        var after = decayOf(key, token) * stateBefore(t, at);
        if (sizes.isDelta != 0) {
          after += k[key] * written;
        } else {
          after += write[key] * written + k[key] * value;
        }
        state[at] = after;
        sum += q[key] * after;
      }
    }
    parts[ofReads + local.y * 64 + local.x] = sum;
    workgroupBarrier();
    if (local.y == 0 && isColumn) {
      o[token * sizes.valueWidth + column] = sizes.scale * total(ofReads, local.x);
      corrected[token * sizes.valueWidth + column] = written;
    }
  }
}
