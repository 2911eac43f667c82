// Brings the operands of a product into the form that mixed.wgsl reads: f16, k as the last axis, padded with zeros, and scaled
// by powers of two. The first workgroups along z have a matrix of A each, the others one of B; along x they take several tiles.
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

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> partials: array<f32>; // of the largest magnitudes
@group(0) @binding(3) var<storage, read_write> packedA: array<vec4u>;
@group(0) @binding(4) var<storage, read_write> packedB: array<vec4u>;
@group(0) @binding(5) var<storage, read_write> scales: array<f32>;
@group(0) @binding(6) var<uniform> sizes: Sizes;

const invocations = 256u;
const tileEdge = 32u;
const tileInner = 64u;
const tilesAlong = 8u;
const stride = tileInner + 1; // neighbours along either axis lie in different banks

var<workgroup> largest: array<f32, invocations>;
var<workgroup> tile: array<f32, tileEdge * stride>;

@compute @workgroup_size(invocations)
fn main(@builtin(local_invocation_index) local: u32, @builtin(workgroup_id) group: vec3u) {
  let isA = group.z < sizes.countA;
  let matrix = group.z - select(sizes.countA, 0, isA);
  let edges = select(sizes.edgeB, sizes.edgeA, isA);
  let paddedEdges = select(sizes.paddedEdgeB, sizes.paddedEdgeA, isA);
  let innerLast = select(innerLastB, innerLastA, isA);
  let edge0 = group.y * tileEdge;
  if (edge0 >= paddedEdges) {
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

  for (var t = 0u; t < tilesAlong; t++) {
    let inner0 = (group.x * tilesAlong + t) * tileInner;
    for (var i = local; i < tileEdge * tileInner; i += invocations) {
      let at = select(vec2u(i % tileEdge, i / tileEdge), vec2u(i / tileInner, i % tileInner), innerLast);
      let edge = edge0 + at.x;
      let inner = inner0 + at.y;
      let place = matrix * edges * sizes.inner + select(inner * edges + edge, edge * sizes.inner + inner, innerLast);
      var value = 0f;
      if (edge < edges && inner < sizes.inner) {
        if (isA) {
          value = a[place] * factor;
        } else {
          value = b[place] * factor;
        }
      }
      tile[at.x * stride + at.y] = value;
    }
    workgroupBarrier();

    // Eight neighbours along k each.
    let edge = local / (tileInner / 8);
    let inner = local % (tileInner / 8) * 8;
    if (edge0 + edge < paddedEdges && inner0 + inner < sizes.paddedInner) {
      let first = edge * stride + inner;
      let values = vec4u(
        pack2x16float(vec2f(tile[first], tile[first + 1])),
        pack2x16float(vec2f(tile[first + 2], tile[first + 3])),
        pack2x16float(vec2f(tile[first + 4], tile[first + 5])),
        pack2x16float(vec2f(tile[first + 6], tile[first + 7])),
      );
      let at = ((matrix * paddedEdges + edge0 + edge) * sizes.paddedInner + inner0 + inner) / 8;
      if (isA) {
        packedA[at] = values;
      } else {
        packedB[at] = values;
      }
    }
    workgroupBarrier();
  }
}
