// Second stage, one workgroup: where the copies for each memory of each chunk begin, memory after memory. The copies of a memory and
// a sequence follow each other, chunk by chunk; so this is where buckets begin as well.
const invocations = 256u;

struct Uniforms {
  sequences: u32,
  chunks: u32,
  memories: u32,
}

@group(0) @binding(0) var<storage, read> counts: array<u32>;
@group(0) @binding(1) var<storage, read> sequenceChunks: array<u32>;
/** [memories · chunks + 1]: the last entry is the number of copies. */
@group(0) @binding(2) var<storage, read_write> firsts: array<u32>;
@group(0) @binding(3) var<storage, read_write> starts: array<i32>;
@group(0) @binding(4) var<storage, read_write> lengths: array<i32>;
@group(0) @binding(5) var<storage, read_write> groupStarts: array<i32>;
@group(0) @binding(6) var<storage, read_write> groupLengths: array<i32>;
@group(0) @binding(7) var<uniform> sizes: Uniforms;

var<workgroup> totals: array<u32, invocations>;

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32) {
  // An invocation adds up neighbouring counts; then the sums of those before it are added to its own.
  let size = sizes.memories * sizes.chunks;
  let share = (size + invocations - 1) / invocations;
  let begin = min(size, local * share);
  let end = min(size, begin + share);
  var total = 0u;
  for (var i = begin; i < end; i++) {
    total += counts[i];
  }
  totals[local] = total;
  workgroupBarrier();
  for (var step = 1u; step < invocations; step *= 2) {
    var before = 0u;
    if (local >= step) {
      before = totals[local - step];
    }
    workgroupBarrier();
    totals[local] += before;
    workgroupBarrier();
  }
  var first = totals[local] - total;
  for (var i = begin; i < end; i++) {
    firsts[i] = first;
    first += counts[i];
  }
  if (local == 0) {
    firsts[size] = totals[invocations - 1];
  }
  storageBarrier();

  for (var bucket = local; bucket < sizes.memories * sizes.sequences; bucket += invocations) {
    let memory = bucket / sizes.sequences;
    let sequence = bucket % sizes.sequences;
    var next = (memory + 1) * sizes.chunks;
    if (sequence + 1 < sizes.sequences) {
      next = memory * sizes.chunks + sequenceChunks[sequence + 1];
    }
    let start = firsts[memory * sizes.chunks + sequenceChunks[sequence]];
    starts[bucket] = i32(start);
    lengths[bucket] = i32(firsts[next] - start);
  }
  for (var memory = local; memory < sizes.memories; memory += invocations) {
    let start = firsts[memory * sizes.chunks];
    groupStarts[memory] = i32(start);
    groupLengths[memory] = i32(firsts[(memory + 1) * sizes.chunks] - start);
  }
}
