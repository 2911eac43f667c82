// As pack.wgsl, but two numbers of f16 stand for each value: a row has the first of all columns, then the second, the rests.
//
// Each row is multiplied with the power of two that brings its largest value to 2^13 … 2^14, so that the rests are far above the
// numbers that f16 flushes. Behind a tile lies what its rows are to be multiplied with, as f32.
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
/** Of a row. */
const lanes = 4u;

fn powerOf(exponent: i32) -> u32 {
  return u32(127 + exponent) << 23;
}

/** To what f16 holds: by bits, since a driver takes there and back for nothing. */
fn rounded(x: vec4f) -> vec4f {
  return bitcast<vec4f>((bitcast<vec4u>(x) + vec4u(0x1000)) & vec4u(0xffffe000));
}

fn halves(low: vec4f, high: vec4f) -> vec4u {
  return vec4u(
    pack2x16float(low.xy),
    pack2x16float(low.zw),
    pack2x16float(high.xy),
    pack2x16float(high.zw),
  );
}

@compute @workgroup_size(tile * lanes)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let sequence = sequences[group.z];
  let first = i32(group.x * tile);
  if (first >= sequence.length) {
    return;
  }
  let lane = local % lanes;
  let token = first + i32(local / lanes);
  let row = u32(sequence.start + min(token, sequence.length - 1)) * sizes.heads + group.y;
  var largest = 0f;
  for (var vector = lane; vector < sizes.vectors; vector += lanes) {
    let four = max(abs(xAt(row, 8 * vector)), abs(xAt(row, 8 * vector + 4)));
    largest = max(largest, max(max(four.x, four.y), max(four.z, four.w)));
  }
  largest = max(largest, subgroupShuffleXor(largest, 1));
  largest = max(largest, subgroupShuffleXor(largest, 2));
  // Rows of zeros have the largest exponent, so that they count as the smallest.
  let exponent = clamp(13 - (i32(bitcast<u32>(largest) >> 23) - 127), -114, 60);
  let scale = select(0, bitcast<f32>(powerOf(exponent)), token < sequence.length);

  let to = ((u32(sequence.packed) + group.x) * sizes.heads + group.y) * (tile * 2 * sizes.vectors + tile / 4);
  for (var vector = lane; vector < sizes.vectors; vector += lanes) {
    let low = scale * xAt(row, 8 * vector);
    let high = scale * xAt(row, 8 * vector + 4);
    let at = to + local / lanes * 2 * sizes.vectors + vector;
    packed[at] = halves(rounded(low), rounded(high));
    packed[at + sizes.vectors] = halves(low - rounded(low), high - rounded(high));
  }
  // Of four rows one after the other.
  let unit = powerOf(-exponent);
  let units = vec4u(
    unit,
    subgroupShuffleXor(unit, lanes),
    subgroupShuffleXor(unit, 2 * lanes),
    subgroupShuffleXor(unit, 3 * lanes),
  );
  if (local % (4 * lanes) == 0) {
    packed[to + tile * 2 * sizes.vectors + local / (4 * lanes)] = units;
  }
}
