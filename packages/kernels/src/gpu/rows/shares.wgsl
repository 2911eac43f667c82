// Tensors of different sizes, shared out among the workgroups of one dispatch: each has neighbouring packs of one of them. What stands
// around this text: `tensors`, how many there are, and `sizes` with their `spans` and the `share` of a workgroup, in packs.
struct Span {
  /** The tensor's first workgroup. */
  workgroup: u32,
  /** Its packs, and where they begin in the buffer that they are read from or written to. */
  size: u32,
  start: u32,
  /** Of a list that is made of groups. */
  group: u32,
}

fn tensorOf(workgroup: u32) -> u32 {
  var tensor = 0u;
  for (var i = 1u; i < tensors; i++) {
    tensor = select(tensor, i, workgroup >= sizes.spans[i].workgroup);
  }
  return tensor;
}
