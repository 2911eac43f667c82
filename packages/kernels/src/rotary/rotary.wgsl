// Rotates the pairs (i, i + D/2) of each head by position · frequency_i turns. An invocation has the pairs of one pack in all
// heads of a row, so that their sines are computed once.
//
// A frequency is the sum of a part of 8 bits, whose product with positions up to 2^16 is exact, and the rest: the angle stays
// right to 1e-6 where the plain product in float32 errs by 1e-3. `tableVectors` stands before this text.
struct Uniforms {
  rows: u32,
  heads: u32,
  packs: u32, // of half a head
  direction: f32,
  high: array<vec4f, tableVectors>,
  low: array<vec4f, tableVectors>,
}

@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> positions: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Pack>;
@group(0) @binding(3) var<uniform> sizes: Uniforms;

/** The rest beside the nearest whole turn. */
fn partOfTurn(turns: Pack) -> Pack {
  return turns - round(turns);
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.rows * sizes.packs; i += groups.x * 256) {
    let row = i / sizes.packs;
    let pair = i % sizes.packs;
    let position = positions[row];
    let high = packAt(sizes.high[pair * packWidth / 4], pair);
    let low = packAt(sizes.low[pair * packWidth / 4], pair);
    let turn = partOfTurn(partOfTurn(position * high) + partOfTurn(position * low));
    // To within a quarter turn of zero; half a turn changes both signs. Minimax polynomials, good to 7e-9 and 3e-10.
    let halves = round(2 * turn);
    let sign = 1 - 2 * abs(halves);
    let rest = turn - 0.5 * halves;
    let z = rest * rest;
    let sine = sizes.direction * sign * rest * (6.283185280367985 + z * (-41.34168072265488 +
      z * (81.60248511137267 + z * (-76.58139641296333 + z * 39.76161701747615))));
    let cosine = sign * (0.9999999997806513 + z * (-19.739208548913453 + z * (64.93934662948048 +
      z * (-85.45357162648776 + z * (60.14401508651916 + z * -24.982237763548518)))));
    for (var head = 0u; head < sizes.heads; head++) {
      let at = (row * sizes.heads + head) * 2 * sizes.packs + pair;
      let first = x[at];
      let second = x[at + sizes.packs];
      y[at] = first * cosine - second * sine;
      y[at + sizes.packs] = first * sine + second * cosine;
    }
  }
}
