// A product of two matrices in f32, one tile of 64 × 64. It is summed over slices of `depth` of the inner index k: each
// invocation brings a block of 4 × 4 of either operand to workgroup memory, k as the outer axis, and multiplies 8 rows by 4
// columns out of it. Blocks are best read without branches: a driver waits for what is read within one before it goes on.
const tile = 64u;
const quads = tile / 4;
const invocations = 128u;
const depth = 32u;
/** Vectors of sums that an invocation has. */
const parts = 8u;

/** By k, then along the edge: an index in two parts, the first of which is constant, costs nothing where it is used. */
var<workgroup> sliceA: array<array<vec4f, quads>, depth>;
var<workgroup> sliceB: array<array<vec4f, quads>, depth>;

/** Rows 4 · lane … and 32 + 4 · lane …. Indexed by constants alone, lest it be moved from registers to memory. */
var<private> tileSums: array<vec4f, parts>;

/** Which block to bring, in quads: x along the tile's edge, y along k. For operands stored along the edge. */
fn alongEdge(local: u32) -> vec2u {
  return vec2u(local % quads, local / quads);
}

/** For operands stored along k. */
fn alongInner(local: u32) -> vec2u {
  return vec2u(local % 8 + 8 * (local / 64), local / 8 % 8);
}

/** Leaves a slice to be multiplied, once all are done with the one before. */
fn keepSlices(local: u32, a: mat4x4f, atA: vec2u, b: mat4x4f, atB: vec2u) {
  workgroupBarrier();
  sliceA[4 * atA.y][atA.x] = a[0];
  sliceA[4 * atA.y + 1][atA.x] = a[1];
  sliceA[4 * atA.y + 2][atA.x] = a[2];
  sliceA[4 * atA.y + 3][atA.x] = a[3];
  sliceB[4 * atB.y][atB.x] = b[0];
  sliceB[4 * atB.y + 1][atB.x] = b[1];
  sliceB[4 * atB.y + 2][atB.x] = b[2];
  sliceB[4 * atB.y + 3][atB.x] = b[3];
  workgroupBarrier();
}

fn multiplySlices(local: u32) {
  let lane = vec2u(local % quads, local / quads);
  for (var k = 0u; k < depth; k++) {
    let upper = sliceA[k][lane.y];
    let lower = sliceA[k][8 + lane.y];
    let b = sliceB[k][lane.x];
    tileSums[0] += upper.x * b;
    tileSums[1] += upper.y * b;
    tileSums[2] += upper.z * b;
    tileSums[3] += upper.w * b;
    tileSums[4] += lower.x * b;
    tileSums[5] += lower.y * b;
    tileSums[6] += lower.z * b;
    tileSums[7] += lower.w * b;
  }
}

/** tileSums[part] for a part that is not a constant. */
fn partOf(part: u32) -> vec4f {
  switch (part) {
    case 0: {
      return tileSums[0];
    }
    case 1: {
      return tileSums[1];
    }
    case 2: {
      return tileSums[2];
    }
    case 3: {
      return tileSums[3];
    }
    case 4: {
      return tileSums[4];
    }
    case 5: {
      return tileSums[5];
    }
    case 6: {
      return tileSums[6];
    }
    default: {
      return tileSums[7];
    }
  }
}

fn setPart(part: u32, value: vec4f) {
  switch (part) {
    case 0: {
      tileSums[0] = value;
    }
    case 1: {
      tileSums[1] = value;
    }
    case 2: {
      tileSums[2] = value;
    }
    case 3: {
      tileSums[3] = value;
    }
    case 4: {
      tileSums[4] = value;
    }
    case 5: {
      tileSums[5] = value;
    }
    case 6: {
      tileSums[6] = value;
    }
    default: {
      tileSums[7] = value;
    }
  }
}

/** Row and column of the tile that tileSums[part] begins at. */
fn placeOf(local: u32, part: u32) -> vec2u {
  return vec2u(32 * (part / 4) + 4 * (local / quads) + part % 4, 4 * (local % quads));
}
