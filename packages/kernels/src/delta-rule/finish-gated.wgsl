// As finish.wgsl, and the gradient of one gate a token and head (token-gates.wgsl), which takes the same rows: queries read, keys read
// as −β k, and write. Each subgroup of 32 has a row at a time.
const hasBeta = 2u;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let head = group.y;
  let lane = local % 32;
  let quads = sizes.keyWidth / 4;
  let valueQuads = sizes.valueWidth / 4;
  let isWeighed = (sizes.extra & hasBeta) != 0;
  for (var n = 0u; n < 8; n++) {
    let token = 8 * (local / 32) + n;
    let isRow = token < chunk.tokens;
    let row = (chunk.start + min(token, chunk.tokens - 1)) * sizes.heads + head;
    let at = row * quads + min(lane, quads - 1);
    let valueAt = row * valueQuads + min(lane, valueQuads - 1);
    // Where there is no row or column of its own, an invocation reads a neighbour's, perhaps while that is written, and drops it.
    let query = q[at];
    let dQuery = dQ[at];
    let key = k[at];
    let dRecall = -dA[at];
    let dWrite = dK[at];
    let value = v[valueAt];
    let dValue = dV[valueAt];
    let strength = select(1f, beta[select(0, row, isWeighed)], isWeighed);
    // Of the gate, and of the strength.
    var sums = vec2f();
    if (isRow && lane < quads) {
      sums = vec2f(dot(query, dQuery) + dot(key, strength * dRecall - dWrite), dot(dRecall, key));
      dK[at] = dWrite + strength * dRecall;
    }
    if (isRow && lane < valueQuads && isWeighed) {
      sums.y += dot(dValue, value);
      dV[valueAt] = strength * dValue;
    }
    sums = subgroupAdd(sums);
    if (lane == 0) {
      rowSums[token] = sums.x;
      if (isRow && isWeighed) {
        dBeta[row] = sums.y;
      }
    }
  }
  leaveGates(chunk, group.z, head, local);
}
