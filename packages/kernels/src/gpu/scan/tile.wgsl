// A product of two matrices, one tile of 64 × 64 for 64 invocations. It is summed over slices of 16 of the inner index k: each
// invocation brings a block of 4 × 4 of either operand to workgroup memory, k as the outer axis, and multiplies 8 rows by 8
// columns out of it.
const tile = 64u;
const depth = 16u;
const quads = tile / 4;

var<workgroup> sliceA: array<vec4f, depth * quads>;
var<workgroup> sliceB: array<vec4f, depth * quads>;

/**
 * Rows 4 · lane … and 32 + 4 · lane …, two vectors of columns each. Indexed by constants alone, lest it be moved from
 * registers to memory.
 */
var<private> tileSums: array<vec4f, 16>;

/** Which block to bring, in quads: x along the tile's edge, y along k. For operands stored along the edge. */
fn alongEdge(local: u32) -> vec2u {
  return vec2u(local % quads, local / quads);
}

/** For operands stored along k. */
fn alongInner(local: u32) -> vec2u {
  return vec2u(local % 8 + 8 * (local / 32), local / 8 % 4);
}

fn keepSlices(a: mat4x4f, atA: vec2u, b: mat4x4f, atB: vec2u) {
  let firstA = 4 * atA.y * quads + atA.x;
  let firstB = 4 * atB.y * quads + atB.x;
  workgroupBarrier();
  sliceA[firstA] = a[0];
  sliceA[firstA + quads] = a[1];
  sliceA[firstA + 2 * quads] = a[2];
  sliceA[firstA + 3 * quads] = a[3];
  sliceB[firstB] = b[0];
  sliceB[firstB + quads] = b[1];
  sliceB[firstB + 2 * quads] = b[2];
  sliceB[firstB + 3 * quads] = b[3];
  workgroupBarrier();
}

fn laneOf(local: u32) -> vec2u {
  return vec2u(local % 8, local / 8);
}

fn multiplySlices(local: u32) {
  let lane = laneOf(local);
  for (var k = 0u; k < depth; k++) {
    let upper = sliceA[k * quads + lane.y];
    let lower = sliceA[k * quads + 8 + lane.y];
    let left = sliceB[k * quads + lane.x];
    let right = sliceB[k * quads + 8 + lane.x];
    tileSums[0] += upper.x * left;
    tileSums[1] += upper.x * right;
    tileSums[2] += upper.y * left;
    tileSums[3] += upper.y * right;
    tileSums[4] += upper.z * left;
    tileSums[5] += upper.z * right;
    tileSums[6] += upper.w * left;
    tileSums[7] += upper.w * right;
    tileSums[8] += lower.x * left;
    tileSums[9] += lower.x * right;
    tileSums[10] += lower.y * left;
    tileSums[11] += lower.y * right;
    tileSums[12] += lower.z * left;
    tileSums[13] += lower.z * right;
    tileSums[14] += lower.w * left;
    tileSums[15] += lower.w * right;
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
    case 7: {
      return tileSums[7];
    }
    case 8: {
      return tileSums[8];
    }
    case 9: {
      return tileSums[9];
    }
    case 10: {
      return tileSums[10];
    }
    case 11: {
      return tileSums[11];
    }
    case 12: {
      return tileSums[12];
    }
    case 13: {
      return tileSums[13];
    }
    case 14: {
      return tileSums[14];
    }
    default: {
      return tileSums[15];
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
    case 7: {
      tileSums[7] = value;
    }
    case 8: {
      tileSums[8] = value;
    }
    case 9: {
      tileSums[9] = value;
    }
    case 10: {
      tileSums[10] = value;
    }
    case 11: {
      tileSums[11] = value;
    }
    case 12: {
      tileSums[12] = value;
    }
    case 13: {
      tileSums[13] = value;
    }
    case 14: {
      tileSums[14] = value;
    }
    default: {
      tileSums[15] = value;
    }
  }
}

/** Multiplies 4 rows of the upper and of the lower half, each by its own factor. */
fn scaleRows(upper: vec4f, lower: vec4f) {
  tileSums[0] *= upper.x;
  tileSums[1] *= upper.x;
  tileSums[2] *= upper.y;
  tileSums[3] *= upper.y;
  tileSums[4] *= upper.z;
  tileSums[5] *= upper.z;
  tileSums[6] *= upper.w;
  tileSums[7] *= upper.w;
  tileSums[8] *= lower.x;
  tileSums[9] *= lower.x;
  tileSums[10] *= lower.y;
  tileSums[11] *= lower.y;
  tileSums[12] *= lower.z;
  tileSums[13] *= lower.z;
  tileSums[14] *= lower.w;
  tileSums[15] *= lower.w;
}

/** Row and column of the tile that tileSums[part] begins at. */
fn placeOf(local: u32, part: u32) -> vec2u {
  let lane = laneOf(local);
  return vec2u(32 * (part / 8) + 4 * lane.y + part / 2 % 4, 32 * (part % 2) + 4 * lane.x);
}
