// Running sums over the invocations of a workgroup. What stands around this text: `invocations`, a power of two.
var<workgroup> sums: array<u32, invocations>;

/** The sum of the values of all invocations before this one; `sumOfAll` then is that of all. */
fn sumBefore(value: u32, local: u32) -> u32 {
  sums[local] = value;
  workgroupBarrier();
  for (var step = 1u; step < invocations; step *= 2) {
    var before = 0u;
    if (local >= step) {
      before = sums[local - step];
    }
    workgroupBarrier();
    sums[local] += before;
    workgroupBarrier();
  }
  return sums[local] - value;
}

fn sumOfAll() -> u32 {
  return sums[invocations - 1];
}
