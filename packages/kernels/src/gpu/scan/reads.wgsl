// What tokens get from the state at their chunk's border and from the chunk's other tokens: with rows i of x, y, z, and the
// scores P,
//
//     z_i = α · decay_i ⊙ (x_i S) + β · Σ_j P_ij e^{b_i − b_j} y_j        j ≤ i
//
// Outputs are that of (x, y) = (q, v). So are the gradients: of q of (dO, k) with Sᵀ for S; of v and k, which look to the
// chunk's end (`toEnd`: j ≥ i, P_ji, e^{b_j − b_i}, and the gradient of the state for S), of (k, dO) and (v, q). A
// workgroup makes 64 or 128 columns of one chunk and head (reads-product.wgsl).
//
// With one gate for each key channel x comes decayed, and P holds the decay already, where S is not transposed; where it is, all
// decay differs by column, and is left to pull.wgsl together with the sum over tokens.

/** With one gate for all channels: b of tokens. */
var<workgroup> tokenSums: array<vec2f, tile>;

fn keepDecays(chunk: Chunk, head: u32, local: u32) {
  if (gate == scalarGate) {
    if (local < tile) {
      let known = min(local, chunk.tokens - 1);
      borderDecays[local] = borderDecay(chunk, known, head);
      tokenSums[local] = sumThrough(chunk, i32(known), head);
    }
    workgroupBarrier();
  }
}

fn readX(place: Place, token: u32, column: u32) -> vec4f {
  return xNear(rowOf(place, token), column);
}

fn readY(place: Place, term: u32, token: u32, column: u32) -> vec4f {
  return yNear(rowOf(place, token), column);
}

fn readScores(place: Place, plane: u32, reader: u32, writer: u32) -> vec4f {
  return scores[((place.chunkIndex * sizes.heads + place.head) * tile + reader) * quads + writer / 4];
}

/** Of one reader and 4 writers; 0 where the writer is not there yet. */
fn decayedScores(place: Place, plane: u32, scores: vec4f, reader: u32, writer: u32) -> vec4f {
  let writers = writer + vec4u(0, 1, 2, 3);
  var values = sizes.scoreScale * scores;
  if (gate == scalarGate) {
    let last = min(reader, place.chunk.tokens - 1);
    let through = tokenSums[last];
    let known = min(writers, vec4u(last));
    values *= vec4f(
      decayBetween(through, tokenSums[known.x]),
      decayBetween(through, tokenSums[known.y]),
      decayBetween(through, tokenSums[known.z]),
      decayBetween(through, tokenSums[known.w]),
    );
  }
  return select(vec4f(), values, (writers <= vec4u(reader)) & vec4<bool>(reader < place.chunk.tokens));
}

@compute @workgroup_size(invocations)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let chunk = chunks[group.z];
  if (chunk.tokens == 0) {
    return;
  }
  let place = Place(chunk, group.z, groups.z, group.y, group.x * tileColumns, local);
  keepDecays(chunk, group.y, local);
  addStates(place);
  afterState(chunk, group.y, group.x, local);
  if (!(gate == vectorGate && transposed)) {
    addScores(place, 0, 0);
  }
  finish(place);
}
