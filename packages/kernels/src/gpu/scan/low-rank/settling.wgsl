// When a homogeneous walk can end: what enters a segment leaves no trace from some chunk on.
const homogeneous = true;

var<workgroup> alive: atomic<u32>;
var<workgroup> isOver: u32;

/** None of the workgroup's values is alive. */
fn isSettled(local: u32, isAlive: bool) -> bool {
  if (isAlive) {
    atomicStore(&alive, 1);
  }
  workgroupBarrier();
  if (local == 0) {
    isOver = 1 - atomicExchange(&alive, 0);
  }
  return workgroupUniformLoad(&isOver) != 0;
}

fn valuesOf(chunk: Chunk, head: u32, token: u32, column: u32) -> mat4x4f {
  return mat4x4f();
}
