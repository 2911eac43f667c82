// Products of 64 queries with 64 keys. An invocation has 4 rows of the tile, and 4 columns; of what is summed up `vectors` vectors of
// columns, 16 vectors apart. Arrays are indexed by constants, or in loops of at most four rounds, which drivers unroll: an index that is
// not constant moves an array from registers to memory. Indices into workgroup memory have a constant part where it can be.
//
// What stands before this text: vectors (gpu.ts).
const quads = tile / 4;
const invocations = quads * quads;
/** Of the inner index, in a slice of the scores' operands. */
const depth = 32u;
/** Rows of an operand that are summed up at a time: with more vectors, fewer. */
const sliceRows = select(depth, depth / 2, vectors > 2);
/** What a row of them takes of `slices`. */
const rowsOfSlice = depth / sliceRows;
/** Vectors of such a slice that an invocation brings. */
const brought = sliceRows * quads * vectors / invocations;

/** Slices of both operands of the scores, side by side, the inner index outside; or a slice of what is summed up. */
var<workgroup> slices: array<array<vec4f, 2 * quads>, depth>;
/** A tile, turned to multiply rows: by columns, vectors of 4 rows. */
var<workgroup> factors: array<array<vec4f, quads>, tile>;

/** Of an invocation: 4 rows. */
alias Scores = array<vec4f, 4>;
/** Vector v of row r is 4 · v + r; of four vectors, those behind the last are not used. */
alias Sums = array<vec4f, 16>;

/** What is multiplied: the kernel's `vectorOf` tells them apart. Rows behind the last are the last: what comes of them is hidden. */
struct Operands {
  queries: Queries,
  keys: Keys,
  /** The tile's first key. */
  key: i32,
}

fn laneOf(local: u32) -> vec2u {
  return vec2u(local % quads, local / quads);
}

/** 4 rows and 4 columns of an operand, turned. */
fn blockOf(which: u32, operands: Operands, row: u32, column: u32) -> mat4x4f {
  var block: mat4x4f;
  for (var r = 0u; r < 4; r++) {
    block[r] = vectorOf(which, operands, row + r, column);
  }
  return transpose(block);
}

/** A · Bᵀ of two operands over the head's width. Half of the invocations bring the slices of one, half those of the other. */
fn multiply(rowsOf: u32, columnsOf: u32, operands: Operands, local: u32) -> Scores {
  let lane = laneOf(local);
  // Neighbours write to different banks.
  let edge = local % 8 + 8 * (local / 64 % 2);
  let first = 4 * (local / 8 % 8);
  let side = quads * (local / 128) + edge;
  var products: Scores;
  var next: mat4x4f;
  // One round more than there are slices: the next slice is on its way while the one before is multiplied.
  for (var inner = 0u; inner < sizes.headWidth + depth; inner += depth) {
    if (inner < sizes.headWidth) {
      if (local < invocations / 2) {
        next = blockOf(rowsOf, operands, 4 * edge, inner + first);
      } else {
        next = blockOf(columnsOf, operands, 4 * edge, inner + first);
      }
    }
    if (inner > 0) {
      for (var k = 0u; k < depth; k++) {
        let a = slices[k][lane.y];
        let b = slices[k][quads + lane.x];
        products[0] = fma(vec4f(a.x), b, products[0]);
        products[1] = fma(vec4f(a.y), b, products[1]);
        products[2] = fma(vec4f(a.z), b, products[2]);
        products[3] = fma(vec4f(a.w), b, products[3]);
      }
    }
    workgroupBarrier();
    if (inner < sizes.headWidth) {
      slices[first][side] = next[0];
      slices[first + 1][side] = next[1];
      slices[first + 2][side] = next[2];
      slices[first + 3][side] = next[3];
    }
    workgroupBarrier();
  }
  return products;
}

/** Leaves a tile for `accumulate`, once nobody reads the one before. Shifted, so that neighbours write to different banks. */
fn keepFactors(kept: Scores, lane: vec2u) {
  let turned = transpose(mat4x4f(kept[0], kept[1], kept[2], kept[3]));
  let quad = lane.y ^ (lane.x % 8);
  workgroupBarrier();
  factors[4 * lane.x][quad] = turned[0];
  factors[4 * lane.x + 1][quad] = turned[1];
  factors[4 * lane.x + 2][quad] = turned[2];
  factors[4 * lane.x + 3][quad] = turned[3];
}

/** sums += F · Y: the tile that was kept times the rows of an operand, of which there are `count`. */
fn accumulate(sums: ptr<function, Sums>, rowsOf: u32, operands: Operands, count: u32, local: u32) {
  let lane = laneOf(local);
  var next: array<vec4f, brought>;
  for (var first = 0u; first < count + sliceRows; first += sliceRows) {
    if (first < count) {
      for (var i = 0u; i < brought; i++) {
        let at = local + i * invocations;
        next[i] = vectorOf(rowsOf, operands, first + at / (quads * vectors), 4 * (at % (quads * vectors)));
      }
    }
    if (first > 0) {
      let quad = lane.y ^ ((first - sliceRows) / 4 % 8);
      for (var k = 0u; k < sliceRows; k++) {
        let a = factors[first - sliceRows + k][quad ^ (k / 4)];
        let y0 = slices[k * rowsOfSlice][lane.x];
        (*sums)[0] = fma(vec4f(a.x), y0, (*sums)[0]);
        (*sums)[1] = fma(vec4f(a.y), y0, (*sums)[1]);
        (*sums)[2] = fma(vec4f(a.z), y0, (*sums)[2]);
        (*sums)[3] = fma(vec4f(a.w), y0, (*sums)[3]);
        if (vectors > 1) {
          let y1 = slices[k * rowsOfSlice][quads + lane.x];
          (*sums)[4] = fma(vec4f(a.x), y1, (*sums)[4]);
          (*sums)[5] = fma(vec4f(a.y), y1, (*sums)[5]);
          (*sums)[6] = fma(vec4f(a.z), y1, (*sums)[6]);
          (*sums)[7] = fma(vec4f(a.w), y1, (*sums)[7]);
        }
        if (vectors > 2) {
          let y2 = slices[k * rowsOfSlice + 1][lane.x];
          (*sums)[8] = fma(vec4f(a.x), y2, (*sums)[8]);
          (*sums)[9] = fma(vec4f(a.y), y2, (*sums)[9]);
          (*sums)[10] = fma(vec4f(a.z), y2, (*sums)[10]);
          (*sums)[11] = fma(vec4f(a.w), y2, (*sums)[11]);
        }
        if (vectors > 3) {
          let y3 = slices[k * rowsOfSlice + 1][quads + lane.x];
          (*sums)[12] = fma(vec4f(a.x), y3, (*sums)[12]);
          (*sums)[13] = fma(vec4f(a.y), y3, (*sums)[13]);
          (*sums)[14] = fma(vec4f(a.z), y3, (*sums)[14]);
          (*sums)[15] = fma(vec4f(a.w), y3, (*sums)[15]);
        }
      }
    }
    workgroupBarrier();
    if (first < count) {
      for (var i = 0u; i < brought; i++) {
        let at = local + i * invocations;
        let vector = at % (quads * vectors);
        slices[at / (quads * vectors) * rowsOfSlice + vector / (2 * quads)][vector % (2 * quads)] = next[i];
      }
    }
    workgroupBarrier();
  }
}

/** Column that vector v of an invocation's sums begins at. */
fn columnOf(lane: vec2u, v: u32) -> u32 {
  return 4 * (v * quads + lane.x);
}
