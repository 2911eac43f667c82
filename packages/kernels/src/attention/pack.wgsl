// Brings rows of heads into the form that mixed-tile.ts reads: f16, all heads as wide as a whole number of fragments, sequences
// beginning at whole tiles. Behind their last rows, and behind the last column, there are zeros.
//
// What stands before this text: scaleOf (mixed.ts).
struct Uniforms {
  heads: u32,
  headWidth: u32,
  /** Vectors of eight columns of a head, packed. */
  vectors: u32,
}

struct Sequence {
  start: i32,
  length: i32,
  position: i32,
  /** The tile that its packed rows begin at. */
  packed: i32,
}

const tile = 64u;
const invocations = 256u;

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let sequence = sequences[group.z];
  let first = i32(group.x * tile);
  let scale = scaleOf(local, group);
  if (first >= sequence.length) {
    return;
  }
  for (var vector = local; vector < tile * sizes.vectors; vector += invocations) {
    let token = first + i32(vector / sizes.vectors);
    let within = vector % sizes.vectors;
    let row = u32(sequence.start + min(token, sequence.length - 1)) * sizes.heads + group.y;
    let factor = select(0, scale, token < sequence.length);
    let low = factor * xAt(row, 8 * within);
    let high = factor * xAt(row, 8 * within + 4);
    let to = (u32(sequence.packed) * tile + u32(token)) * sizes.heads + group.y;
    packed[to * sizes.vectors + within] = vec4u(
      pack2x16float(low.xy),
      pack2x16float(low.zw),
      pack2x16float(high.xy),
      pack2x16float(high.zw),
    );
  }
}
