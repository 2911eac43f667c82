// Where copies begin, for the last stage of two: each workgroup adds up the counts of all chunks by itself. It also sees to the buckets
// of the sequence of its own number.
@group(0) @binding(6) var<storage, read_write> starts: array<i32>;
@group(0) @binding(7) var<storage, read_write> lengths: array<i32>;
@group(0) @binding(8) var<storage, read_write> groupStarts: array<i32>;
@group(0) @binding(9) var<storage, read_write> groupLengths: array<i32>;
@group(0) @binding(10) var<uniform> sizes: Uniforms;

const invocations = chunkRows;
/** Invocations that share a memory's counts, and how many each has on their way at a time. */
const lanes = 8u;
const atOnce = 8u;

/** Copies for a memory. */
struct Tally {
  /** In the chunks before this one. */
  before: atomic<u32>,
  /** In those before the sequence, and before the end of it. */
  beforeSequence: atomic<u32>,
  beforeNext: atomic<u32>,
  all: atomic<u32>,
}

var<workgroup> tallies: array<Tally, memories>;
/** Where those of this chunk begin. */
var<workgroup> firsts: array<u32, memories>;

fn firstChunkOf(sequence: u32) -> u32 {
  let chunk = table[sequenceAt(min(sequence, sizes.sequences - 1))];
  return select(sizes.chunks, chunk, sequence < sizes.sequences);
}

fn findFirsts(index: u32, local: u32) {
  let ends = vec4u(index, firstChunkOf(index), firstChunkOf(index + 1), sizes.chunks);
  for (var memory = local / lanes; memory < memories; memory += invocations / lanes) {
    var sum = vec4u();
    for (var first = local % lanes; first < sizes.chunks; first += atOnce * lanes) {
      for (var i = 0u; i < atOnce; i++) {
        let chunk = first + i * lanes;
        let count = table[countAt(memory, min(chunk, sizes.chunks - 1))];
        sum += select(vec4u(), vec4u(count), vec4u(chunk) < ends);
      }
    }
    atomicAdd(&tallies[memory].before, sum.x);
    atomicAdd(&tallies[memory].beforeSequence, sum.y);
    atomicAdd(&tallies[memory].beforeNext, sum.z);
    atomicAdd(&tallies[memory].all, sum.w);
  }
  workgroupBarrier();

  // An invocation has neighbouring memories.
  let share = (memories + invocations - 1) / invocations;
  let begin = min(memories, local * share);
  let end = min(memories, begin + share);
  var total = 0u;
  for (var memory = begin; memory < end; memory++) {
    total += atomicLoad(&tallies[memory].all);
  }
  var start = sumBefore(total, local);
  for (var memory = begin; memory < end; memory++) {
    let all = atomicLoad(&tallies[memory].all);
    firsts[memory] = start + atomicLoad(&tallies[memory].before);
    if (index < sizes.sequences) {
      let beforeSequence = atomicLoad(&tallies[memory].beforeSequence);
      starts[memory * sizes.sequences + index] = i32(start + beforeSequence);
      lengths[memory * sizes.sequences + index] = i32(atomicLoad(&tallies[memory].beforeNext) - beforeSequence);
    }
    if (index == 0) {
      groupStarts[memory] = i32(start);
      groupLengths[memory] = i32(all);
    }
    start += all;
  }
  workgroupBarrier();
}

fn firstOf(memory: u32, index: u32) -> u32 {
  return firsts[memory];
}

fn copiesInAll() -> u32 {
  return sumOfAll();
}
