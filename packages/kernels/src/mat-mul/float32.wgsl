// y = act(A·B + bias) in f32. A workgroup makes a tile of y from slices of A and B that are `depth` deep: while it multiplies
// one slice out of workgroup memory, the next is in registers on its way there.
//
// Both slices lie in workgroup memory with k as the outer axis and vectors of 4 along the rows of y (A) or its columns (B).
// They are read in blocks of 4 × 4, turned where the operand is stored along k. An invocation's part of the tile is
// `quads` × `vectors` blocks of 4 × 4, `laneRows` and `laneColumns` blocks apart, so that neighbours read and write
// neighbouring vectors.
//
// What stands before this text: the bindings, the tile as constants, startsOf, prepare (what else a workgroup has to do), readA, readB,
// write (float32.ts).
const invocations = laneRows * laneColumns;
const tileQuads = quads * laneRows;
const tileVectors = vectors * laneColumns;
const depthBlocks = depth / 4;
const blocksA = tileQuads * depthBlocks;
const blocks = blocksA + tileVectors * depthBlocks;
const held = (blocks + invocations - 1) / invocations;

/**
 * Two slices each: one in use, one to come. By k, then along the edge: of an index in parts, those that are constant cost
 * nothing where it is used.
 */
var<workgroup> slicesA: array<array<array<vec4f, tileQuads>, depth>, 2>;
var<workgroup> slicesB: array<array<array<vec4f, tileVectors>, depth>, 2>;

/** Where a block of a slice lies, in blocks: x along the tile's edge, y along k. Neighbours are neighbours in memory. */
fn place(block: u32, edge: u32, innerLast: bool) -> vec2u {
  return select(vec2u(block % edge, block / edge), vec2u(block / depthBlocks, block % depthBlocks), innerLast);
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let row0 = group.y * tileQuads * 4;
  let column0 = group.x * tileVectors * 4;
  let batch = group.z % sizes.batches;
  let inner0 = group.z / sizes.batches * sizes.splitDepth;
  let start = startsOf(batch);
  prepare(batch, column0, local);
  let innerEnd = min(start.z, inner0 + sizes.splitDepth);
  let lane = vec2u(local % laneColumns, local / laneColumns);

  var sums: array<vec4f, 4 * quads * vectors>;
  var next: array<mat4x4f, held>;
  var current = 0u;
  // One round more than there are slices: each reads the next slice and multiplies the one before.
  for (var inner = inner0; inner < innerEnd + depth; inner += depth) {
    if (inner < innerEnd) {
      for (var h = 0u; h < held; h++) {
        let block = local + h * invocations;
        if (block < blocksA) {
          let at = place(block, tileQuads, innerLastA);
          next[h] = readA(start.x, row0 + 4 * at.x, inner + 4 * at.y, innerEnd);
        } else if (block < blocks) {
          let at = place(block - blocksA, tileVectors, innerLastB);
          next[h] = readB(start.y, column0 + 4 * at.x, inner + 4 * at.y, innerEnd);
        }
      }
    }
    if (inner > inner0) {
      for (var k = 0u; k < depth; k++) {
        var a: array<vec4f, quads>;
        var b: array<vec4f, vectors>;
        for (var i = 0u; i < quads; i++) {
          a[i] = slicesA[current][k][i * laneRows + lane.y];
        }
        for (var j = 0u; j < vectors; j++) {
          b[j] = slicesB[current][k][j * laneColumns + lane.x];
        }
        for (var i = 0u; i < quads; i++) {
          for (var j = 0u; j < vectors; j++) {
            let s = 4 * (i * vectors + j);
            sums[s] = fma(vec4f(a[i].x), b[j], sums[s]);
            sums[s + 1] = fma(vec4f(a[i].y), b[j], sums[s + 1]);
            sums[s + 2] = fma(vec4f(a[i].z), b[j], sums[s + 2]);
            sums[s + 3] = fma(vec4f(a[i].w), b[j], sums[s + 3]);
          }
        }
      }
      current = 1 - current;
    }
    if (inner < innerEnd) {
      for (var h = 0u; h < held; h++) {
        let block = local + h * invocations;
        if (block < blocksA) {
          let at = place(block, tileQuads, innerLastA);
          for (var k = 0u; k < 4; k++) {
            slicesA[current][4 * at.y + k][at.x] = next[h][k];
          }
        } else if (block < blocks) {
          let at = place(block - blocksA, tileVectors, innerLastB);
          for (var k = 0u; k < 4; k++) {
            slicesB[current][4 * at.y + k][at.x] = next[h][k];
          }
        }
      }
    }
    workgroupBarrier();
  }

  let matrix = group.z * sizes.rows;
  for (var i = 0u; i < quads; i++) {
    for (var j = 0u; j < vectors; j++) {
      let row = row0 + 4 * (i * laneRows + lane.y);
      let column = column0 + 4 * (j * laneColumns + lane.x);
      for (var r = 0u; r < 4; r++) {
        if (row + r < sizes.rows && column < sizes.columns) {
          write((matrix + row + r) * sizes.columns + column, column, sums[4 * (i * vectors + j) + r]);
        }
      }
    }
  }
}
