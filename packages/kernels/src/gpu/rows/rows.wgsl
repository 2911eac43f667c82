// What kernels over rows begin with. A workgroup has `slots` rows in hand at a time; the `lanes` invocations of a row
// stride over its packs. A row of no more packs than lanes is read once and stays in registers; a longer one is read
// again where it is needed again.
override lanes: u32; // a power of two
override slots: u32;
override packs: u32; // of a row
override isOnce: bool = packs <= lanes;

var<workgroup> sums: array<vec2f, lanes * slots>;

/** Sums over the lanes of a row. */
fn rowSums(values: vec2f, slot: u32, lane: u32) -> vec2f {
  let first = slot * lanes;
  sums[first + lane] = values;
  workgroupBarrier();
  for (var half = lanes / 2; half > 0; half /= 2) {
    if (lane < half) {
      sums[first + lane] += sums[first + lane + half];
    }
    workgroupBarrier();
  }
  let sum = sums[first];
  workgroupBarrier();
  return sum;
}
