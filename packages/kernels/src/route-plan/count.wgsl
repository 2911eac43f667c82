// First stage: cuts sequences into chunks, and counts in each how often each memory was chosen. A workgroup also sees to the rows of its
// own number that are padding.
@group(0) @binding(0) var<storage, read> choices: array<i32>;
@group(0) @binding(1) var<storage, read> starts: array<i32>;
@group(0) @binding(2) var<storage, read> lengths: array<i32>;
@group(0) @binding(3) var<storage, read> rowSequence: array<i32>;
@group(0) @binding(4) var<storage, read_write> table: array<u32>;
@group(0) @binding(5) var<storage, read_write> position: array<i32>;
@group(0) @binding(6) var<uniform> sizes: Uniforms;

@compute @workgroup_size(chunkRows)
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let index = group.y * groups.x + group.x;
  let id = index * chunkRows + local;
  var chunk = Chunk();
  // The first chunk of the sequence of the invocation's number.
  var ownFirst = 0u;
  var first = 0u;
  for (var s = 0u; s < sizes.sequences; s++) {
    let length = u32(lengths[s]);
    let count = (length + chunkRows - 1) / chunkRows;
    ownFirst = select(ownFirst, first, id == s);
    if (index >= first && index < first + count) {
      let offset = (index - first) * chunkRows;
      chunk = Chunk(offset, min(chunkRows, length - offset), s);
    }
    first += count;
  }
  chunk.first += u32(starts[chunk.sequence]);
  if (id < sizes.sequences) {
    table[sequenceAt(id)] = ownFirst;
  }
  if (id < sizes.rows && rowSequence[id] < 0) {
    for (var copy = id * sizes.chosen; copy < (id + 1) * sizes.chosen; copy++) {
      position[copy] = -1;
    }
  }
  markChoices(chunk, local);
  if (index >= sizes.chunks) {
    return;
  }
  if (local == 0) {
    let at = chunkAt(index);
    table[at] = chunk.first;
    table[at + 1] = chunk.rows;
    table[at + 2] = chunk.sequence;
  }
  for (var m = local; m < memories; m += chunkRows) {
    var count = 0u;
    for (var word = 0u; word < words; word++) {
      count += countOneBits(atomicLoad(&masks[m * words + word]));
    }
    table[countAt(m, index)] = count;
  }
}
