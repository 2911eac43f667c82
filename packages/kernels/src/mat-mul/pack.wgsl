// Brings the operands of a product into the form that the product on matrix units reads: f16, k as the last axis, padded with
// zeros, and scaled by powers of two. The first workgroups along z have a matrix of A each, the others one of B.
//
// A workgroup has 128 along the operand's edge and 64 along k. An invocation reads vectors of four, 8 along k for each of 4
// along the edge, and turns them in registers where the operand lies the other way; its subgroup reads and writes at least
// 64 neighbouring bytes at once.
//
// What stands before this text: the bindings a and b, and fourOfA, fourOfB: 4 neighbours of a matrix from an index on (mixed.ts).
override innerLastA: bool; // in memory
override innerLastB: bool;

struct Sizes {
  inner: u32,
  paddedInner: u32,
  edgeA: u32,
  edgeB: u32,
  paddedEdgeA: u32,
  paddedEdgeB: u32,
  countA: u32, // matrices
}

@group(0) @binding(2) var<storage, read> partials: array<f32>; // of the largest magnitudes
@group(0) @binding(3) var<storage, read_write> packedA: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> packedB: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> scales: array<f32>;
@group(0) @binding(6) var<uniform> sizes: Sizes;

const invocations = 256u;
const tileEdge = 128u;
const tileInner = 64u;

var<workgroup> largest: array<f32, invocations>;

/** 4 values of a row of the operand as it lies in memory, 0 outside. */
fn four(isA: bool, start: u32, row: u32, column: u32, rows: u32, columns: u32) -> vec4f {
  if (row >= rows || column >= columns) {
    return vec4f();
  }
  let at = start + row * columns + column;
  var values: vec4f;
  if (isA) {
    values = fourOfA(at);
  } else {
    values = fourOfB(at);
  }
  return select(vec4f(), values, column + vec4u(0, 1, 2, 3) < vec4u(columns));
}

fn keep(isA: bool, at: u32, low: vec4f, high: vec4f) {
  let values = vec4u(
    pack2x16float(low.xy),
    pack2x16float(low.zw),
    pack2x16float(high.xy),
    pack2x16float(high.zw),
  );
  if (isA) {
    packedA[at] = values;
  } else {
    packedB[at] = values;
  }
}

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let isA = group.z < sizes.countA;
  let matrix = group.z - select(sizes.countA, 0, isA);
  let edges = select(sizes.edgeB, sizes.edgeA, isA);
  let paddedEdges = select(sizes.paddedEdgeB, sizes.paddedEdgeA, isA);
  if (group.y * tileEdge >= paddedEdges) {
    return;
  }

  largest[local] = partials[select(invocations, 0, isA) + local];
  workgroupBarrier();
  for (var half = invocations / 2; half > 0; half /= 2) {
    if (local < half) {
      largest[local] = max(largest[local], largest[local + half]);
    }
    workgroupBarrier();
  }
  // The largest magnitude is in [½, 1) · 2^exponent. Powers of two change no digit.
  let exponent = clamp(frexp(largest[0]).exp, -126, 126);
  let factor = ldexp(1f, -exponent);
  if (local == 0 && group.x == 0 && group.y == 0 && matrix == 0) {
    scales[select(1, 0, isA)] = ldexp(1f, exponent);
  }

  let start = matrix * edges * sizes.inner;
  let edge0 = group.y * tileEdge + local / 32 * 16;
  let inner0 = group.x * tileInner;
  // Operands are padded to multiples of 16.
  if (edge0 >= paddedEdges) {
    return;
  }
  if (select(innerLastB, innerLastA, isA)) {
    let edge = edge0 + local / 8 % 4;
    let inner = inner0 + local % 8 * 8;
    if (inner >= sizes.paddedInner) {
      return;
    }
    let at = ((matrix * paddedEdges + edge) * sizes.paddedInner + inner) / 8;
    let step = 4 * sizes.paddedInner / 8;
    let low0 = four(isA, start, edge, inner, edges, sizes.inner);
    let high0 = four(isA, start, edge, inner + 4, edges, sizes.inner);
    let low1 = four(isA, start, edge + 4, inner, edges, sizes.inner);
    let high1 = four(isA, start, edge + 4, inner + 4, edges, sizes.inner);
    let low2 = four(isA, start, edge + 8, inner, edges, sizes.inner);
    let high2 = four(isA, start, edge + 8, inner + 4, edges, sizes.inner);
    let low3 = four(isA, start, edge + 12, inner, edges, sizes.inner);
    let high3 = four(isA, start, edge + 12, inner + 4, edges, sizes.inner);
    keep(isA, at, factor * low0, factor * high0);
    keep(isA, at + step, factor * low1, factor * high1);
    keep(isA, at + 2 * step, factor * low2, factor * high2);
    keep(isA, at + 3 * step, factor * low3, factor * high3);
  } else {
    let edge = edge0 + local % 4 * 4;
    let inner = inner0 + local / 4 % 8 * 8;
    if (inner >= sizes.paddedInner) {
      return;
    }
    let at = ((matrix * paddedEdges + edge) * sizes.paddedInner + inner) / 8;
    let step = sizes.paddedInner / 8;
    let low = factor * transpose(mat4x4f(
      four(isA, start, inner, edge, sizes.inner, edges),
      four(isA, start, inner + 1, edge, sizes.inner, edges),
      four(isA, start, inner + 2, edge, sizes.inner, edges),
      four(isA, start, inner + 3, edge, sizes.inner, edges),
    ));
    let high = factor * transpose(mat4x4f(
      four(isA, start, inner + 4, edge, sizes.inner, edges),
      four(isA, start, inner + 5, edge, sizes.inner, edges),
      four(isA, start, inner + 6, edge, sizes.inner, edges),
      four(isA, start, inner + 7, edge, sizes.inner, edges),
    ));
    keep(isA, at, low[0], high[0]);
    keep(isA, at + step, low[1], high[1]);
    keep(isA, at + 2 * step, low[2], high[2]);
    keep(isA, at + 3 * step, low[3], high[3]);
  }
}
