// Second stage of three, one workgroup: where the copies for each memory of each chunk begin, memory after memory. The copies of a memory
// and a sequence follow each other, chunk by chunk; so this is where buckets begin as well.
const invocations = 256u;

@group(0) @binding(0) var<storage, read> table: array<u32>;
/** [memories · chunks + 1]: the last entry is the number of copies. */
@group(0) @binding(1) var<storage, read_write> firsts: array<u32>;
@group(0) @binding(2) var<storage, read_write> starts: array<i32>;
@group(0) @binding(3) var<storage, read_write> lengths: array<i32>;
@group(0) @binding(4) var<storage, read_write> groupStarts: array<i32>;
@group(0) @binding(5) var<storage, read_write> groupLengths: array<i32>;
@group(0) @binding(6) var<uniform> sizes: Uniforms;

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32) {
  // An invocation adds up neighbouring counts; then the sums of those before it are added to its own.
  let size = countAt(memories, 0);
  let share = (size + invocations - 1) / invocations;
  let begin = min(size, local * share);
  let end = min(size, begin + share);
  var total = 0u;
  for (var i = begin; i < end; i++) {
    total += table[i];
  }
  var first = sumBefore(total, local);
  for (var i = begin; i < end; i++) {
    firsts[i] = first;
    first += table[i];
  }
  if (local == 0) {
    firsts[size] = sumOfAll();
  }
  storageBarrier();

  for (var bucket = local; bucket < memories * sizes.sequences; bucket += invocations) {
    let memory = bucket / sizes.sequences;
    let sequence = bucket % sizes.sequences;
    var next = countAt(memory + 1, 0);
    if (sequence + 1 < sizes.sequences) {
      next = countAt(memory, table[sequenceAt(sequence + 1)]);
    }
    let start = firsts[countAt(memory, table[sequenceAt(sequence)])];
    starts[bucket] = i32(start);
    lengths[bucket] = i32(firsts[next] - start);
  }
  for (var memory = local; memory < memories; memory += invocations) {
    let start = firsts[countAt(memory, 0)];
    groupStarts[memory] = i32(start);
    groupLengths[memory] = i32(firsts[countAt(memory + 1, 0)] - start);
  }
}
