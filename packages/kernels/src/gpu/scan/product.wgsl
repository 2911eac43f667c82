// A product of two matrices in f32, one tile of 64 × `tileColumns` (product.ts). It is summed over slices of `depth` of the inner
// index k: invocations bring blocks of 4 × 4 of either operand to workgroup memory, k as the outer axis, and multiply 8 rows by
// 4 · `vectors` columns out of it. While one slice is multiplied the next is on its way, and two things would make a driver wait
// for it: a branch around what is read, and any look at it, be it a `select`, before the multiplication. So blocks are read as they
// lie in memory, from wherever is near, and masked and decayed when they are kept.
const tile = 64u;
const quads = tile / 4;
const columnQuads = tileColumns / 4;
/** Invocations side by side along the columns; the others lie along the rows, 8 of them. */
const columnLanes = invocations / 8;
/** Vectors of columns that an invocation has, and of sums. */
const vectors = columnQuads / columnLanes;
const parts = 8 * vectors;
/** Blocks of a slice that an invocation brings; where there are fewer than invocations, two bring the same. */
const innerQuads = depth / 4;
const blocksA = quads * innerQuads;
const heldB = columnQuads * innerQuads / invocations;

/** By k, then along the edge: an index in two parts, the first of which is constant, costs nothing where it is used. */
var<workgroup> sliceA: array<array<vec4f, quads>, depth>;
var<workgroup> sliceB: array<array<vec4f, columnQuads>, depth>;

/**
 * For each vector of columns, rows 4 · lane … and 32 + 4 · lane …. Indexed by constants alone, and in loops that a driver unrolls,
 * lest it be moved from registers to memory.
 */
var<private> tileSums: array<vec4f, parts>;

/** Where a block is in its slice, in quads: x along the tile's edge, y along k. For operands stored along the edge. */
fn alongEdge(block: u32, edgeQuads: u32) -> vec2u {
  return vec2u(block % edgeQuads, block / edgeQuads);
}

/** For operands stored along k. */
fn alongInner(block: u32) -> vec2u {
  return vec2u(block % 8 + 8 * (block / (8 * innerQuads)), block / 8 % innerQuads);
}

fn blockOfA(local: u32) -> u32 {
  return local % blocksA;
}

/** Leaves a block to be multiplied. */
fn keepA(local: u32, at: vec2u, block: mat4x4f) {
  if (blocksA >= invocations || local < blocksA) {
    sliceA[4 * at.y][at.x] = block[0];
    sliceA[4 * at.y + 1][at.x] = block[1];
    sliceA[4 * at.y + 2][at.x] = block[2];
    sliceA[4 * at.y + 3][at.x] = block[3];
  }
}

fn keepB(at: vec2u, block: mat4x4f) {
  sliceB[4 * at.y][at.x] = block[0];
  sliceB[4 * at.y + 1][at.x] = block[1];
  sliceB[4 * at.y + 2][at.x] = block[2];
  sliceB[4 * at.y + 3][at.x] = block[3];
}

/** Leaves slices, a block of either an invocation, once all are done with the ones before. */
fn keepSlices(local: u32, a: mat4x4f, atA: vec2u, b: mat4x4f, atB: vec2u) {
  workgroupBarrier();
  keepA(local, atA, a);
  keepB(atB, b);
  workgroupBarrier();
}

/** Of 4 rows by 4 columns, from part `first` on. */
fn addProducts(first: u32, a: vec4f, b: vec4f) {
  tileSums[first] += a.x * b;
  tileSums[first + 1] += a.y * b;
  tileSums[first + 2] += a.z * b;
  tileSums[first + 3] += a.w * b;
}

fn multiplySlices(local: u32) {
  let lane = vec2u(local % columnLanes, local / columnLanes);
  for (var k = 0u; k < depth; k++) {
    let upper = sliceA[k][lane.y];
    let lower = sliceA[k][8 + lane.y];
    for (var v = 0u; v < vectors; v++) {
      let b = sliceB[k][v * columnLanes + lane.x];
      addProducts(8 * v, upper, b);
      addProducts(8 * v + 4, lower, b);
    }
  }
}

/** Of the rows from 32 on alone. */
fn multiplyLower(local: u32) {
  let lane = vec2u(local % columnLanes, local / columnLanes);
  for (var k = 0u; k < depth; k++) {
    let lower = sliceA[k][8 + lane.y];
    for (var v = 0u; v < vectors; v++) {
      addProducts(8 * v + 4, lower, sliceB[k][v * columnLanes + lane.x]);
    }
  }
}

/** All but the rows up to 32 by the columns from 32 on, of 64 × 64. */
fn multiplyTriangle(local: u32) {
  let lane = vec2u(local % columnLanes, local / columnLanes);
  for (var k = 0u; k < depth; k++) {
    let upper = sliceA[k][lane.y];
    let lower = sliceA[k][8 + lane.y];
    let left = sliceB[k][lane.x];
    let right = sliceB[k][columnLanes + lane.x];
    addProducts(0, upper, left);
    addProducts(4, lower, left);
    addProducts(12, lower, right);
  }
}

/** Row and column of the tile that tileSums[part] begins at. */
fn placeOf(local: u32, part: u32) -> vec2u {
  return vec2u(
    32 * (part / 4 % 2) + 4 * (local / columnLanes) + part % 4,
    4 * (part / 8 * columnLanes + local % columnLanes),
  );
}
