// The product y = A·B in f32, as text. A workgroup makes a tile of y from slices of A and B that are `depth` deep: while it multiplies
// one slice out of workgroup memory, the next is in registers on its way there.
//
// Both slices lie in workgroup memory with k as the outer axis and vectors of 4 along the rows of y (A) or its columns (B). They are
// read in blocks of 4 × 4, turned where the operand is stored along k. An invocation's part of the tile is `quads` × `vectors` blocks
// of 4 × 4, `laneRows` and `laneColumns` blocks apart, so that neighbours read and write neighbouring vectors.
import { fourWgsl } from './bindings.ts';

/** How a workgroup's part of y is shared out. */
export interface Tile {
  readonly quads: number;
  readonly vectors: number;
  readonly laneRows: number;
  readonly laneColumns: number;
  readonly depth: number;
}

export const rowsOf = ({ quads, laneRows }: Tile): number => 4 * quads * laneRows;
export const columnsOf = ({ vectors, laneColumns }: Tile): number => 4 * vectors * laneColumns;
export const invocationsOf = ({ laneRows, laneColumns }: Tile): number => laneRows * laneColumns;
/** Of workgroup memory: two slices of each operand. */
export const bytesOf = (tile: Tile): number => 8 * tile.depth * (rowsOf(tile) + columnsOf(tile));

/** How an operand lies in memory. */
export interface Stored {
  /** k is its last axis. */
  readonly innerLast: boolean;
  /** Its last axis is a multiple of 4: it can be read in vectors. */
  readonly isVector: boolean;
}

/**
 * What a module with products has once: two slices of each operand, one in use, one to come. By k, then along the edge: of an index in
 * parts, those that are constant cost nothing where it is used.
 */
export const slicesWgsl = (tile: Tile): string => `
var<workgroup> slicesA: array<array<array<vec4f, ${rowsOf(tile) / 4}>, ${tile.depth}>, 2>;
var<workgroup> slicesB: array<array<array<vec4f, ${columnsOf(tile) / 4}>, ${tile.depth}>, 2>;`;

/** The entry point, with the statements of products: indices that are made within it alone are seen to be in range. */
export const mainWgsl = (tile: Tile, statements: string): string => `
@compute @workgroup_size(${invocationsOf(tile)})
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {${statements}
}`;

export interface Product {
  readonly tile: Tile;
  /**
   * Statements that define `row0` and `column0`, where the tile lies in y; `inner0` and `innerEnd`, the part of k; and `startA` and
   * `startB`, where the operands begin in memory. The part of k is the same for all invocations, which meet at barriers on its way.
   */
  readonly begin: string;
  /** Functions as {@link readWgsl} writes them. */
  readonly readA: string;
  readonly readB: string;
  readonly innerLast: { readonly a: boolean; readonly b: boolean };
  /** Statements that take the sums to y, see {@link writesWgsl}. */
  readonly end: string;
}

/**
 * Statements of an entry point. A module can have several products with as many invocations: then workgroups choose one from outside.
 */
export function productWgsl({ tile, begin, readA, readB, innerLast, end }: Product): string {
  const { quads, vectors, laneRows, laneColumns, depth } = tile;
  const invocations = invocationsOf(tile);
  const [quadsA, quadsB] = [rowsOf(tile) / 4, columnsOf(tile) / 4];
  const blocksA = (quadsA * depth) / 4;
  const blocks = blocksA + (quadsB * depth) / 4;
  const held = Math.ceil(blocks / invocations);
  return `
  ${begin}
  let lane = vec2u(local % ${laneColumns}, local / ${laneColumns});
  var sums: array<vec4f, ${4 * quads * vectors}>;
  var next: array<mat4x4f, ${held}>;
  var current = 0u;
  // One round more than there are slices: each reads the next slice and multiplies the one before.
  for (var inner = inner0; inner < innerEnd + ${depth}; inner += ${depth}) {
    if (inner < innerEnd) {
      for (var h = 0u; h < ${held}; h++) {
        let block = local + h * ${invocations};
        if (block < ${blocksA}) {
          let at = ${placeOf('block', quadsA, depth, innerLast.a)};
          next[h] = ${readA}(startA, row0 + 4 * at.x, inner + 4 * at.y, innerEnd);
        } else if (block < ${blocks}) {
          let at = ${placeOf(`(block - ${blocksA})`, quadsB, depth, innerLast.b)};
          next[h] = ${readB}(startB, column0 + 4 * at.x, inner + 4 * at.y, innerEnd);
        }
      }
    }
    if (inner > inner0) {
      for (var k = 0u; k < ${depth}; k++) {
        var a: array<vec4f, ${quads}>;
        var b: array<vec4f, ${vectors}>;
        for (var i = 0u; i < ${quads}; i++) {
          a[i] = slicesA[current][k][i * ${laneRows} + lane.y];
        }
        for (var j = 0u; j < ${vectors}; j++) {
          b[j] = slicesB[current][k][j * ${laneColumns} + lane.x];
        }
        for (var i = 0u; i < ${quads}; i++) {
          for (var j = 0u; j < ${vectors}; j++) {
            let s = 4 * (i * ${vectors} + j);
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
      for (var h = 0u; h < ${held}; h++) {
        let block = local + h * ${invocations};
        if (block < ${blocksA}) {
          let at = ${placeOf('block', quadsA, depth, innerLast.a)};
          for (var k = 0u; k < 4; k++) {
            slicesA[current][4 * at.y + k][at.x] = next[h][k];
          }
        } else if (block < ${blocks}) {
          let at = ${placeOf(`(block - ${blocksA})`, quadsB, depth, innerLast.b)};
          for (var k = 0u; k < 4; k++) {
            slicesB[current][4 * at.y + k][at.x] = next[h][k];
          }
        }
      }
    }
    workgroupBarrier();
  }
  ${end}`;
}

/** Where a block of a slice lies, in blocks: x along the tile's edge, y along k. Neighbours are neighbours in memory. */
const placeOf = (block: string, edge: number, depth: number, innerLast: boolean): string =>
  innerLast
    ? `vec2u(${block} / ${depth / 4}, ${block} % ${depth / 4})`
    : `vec2u(${block} % ${edge}, ${block} / ${edge})`;

/**
 * Statements that take the sums of up to four neighbouring columns of y, those outside of y too, to `write(row, column, sum)`. Where a
 * tensor is to be chosen, it is chosen outside: with a choice within the loop the compiler no longer unrolls it, and sums that are then
 * indexed lie in memory.
 */
export const writesWgsl = (tile: Tile, write: string): string => `
  for (var i = 0u; i < ${tile.quads}; i++) {
    for (var j = 0u; j < ${tile.vectors}; j++) {
      let row = row0 + 4 * (i * ${tile.laneRows} + lane.y);
      let column = column0 + 4 * (j * ${tile.laneColumns} + lane.x);
      for (var r = 0u; r < 4; r++) {
        ${write}(row + r, column, sums[4 * (i * ${tile.vectors} + j) + r]);
      }
    }
  }`;

/** A buffer of an operand, whose rows are of vectors or not. */
export interface Stretch {
  readonly buffer: string;
  readonly isVector: boolean;
}

export interface Read {
  readonly name: string;
  /** One; or several, of which `map` is the number of the one that is read. */
  readonly tensors: readonly Stretch[];
  /** k is its last axis. */
  readonly innerLast: boolean;
  /** Statements that define what is named below, and `map` where there are several tensors. */
  readonly choose?: string;
  /** Expressions: where the operand begins, how long its last axis is; its index along y's edge and along k, and where they end. */
  readonly first?: string;
  readonly stride: string;
  readonly edge?: string;
  readonly edgeEnd: string;
  readonly k?: string;
  readonly kEnd?: string;
}

/** Reads a block of 4 × 4, turned so that k is its outer axis; zero outside of the operand. A place is made once, whatever is read. */
export function readWgsl({
  name,
  tensors,
  innerLast,
  choose = '',
  first = 'start',
  stride,
  edge = 'edge',
  edgeEnd,
  k = 'inner',
  kEnd = 'innerEnd',
}: Read): string {
  const [row, column] = innerLast ? [edge, k] : [k, edge];
  const [rowEnd, columnEnd] = innerLast ? [edgeEnd, kEnd] : [kEnd, edgeEnd];
  const read = ({ buffer, isVector }: Stretch): string => `
    for (var i = 0u; i < 4; i++) {
      let at = place + i * stride;
      block[i] = select(vec4f(), ${fourWgsl(buffer, 'at', isVector)}, isColumn & vec4<bool>(row + i < rowEnd));
    }`;
  const reads =
    tensors.length === 1
      ? read(tensors[0] as Stretch)
      : tensors.map((tensor, m) => `if (map == ${m}) {${read(tensor)}\n  }`).join('\n  ');
  return `
fn ${name}(start: u32, edge: u32, inner: u32, innerEnd: u32) -> mat4x4f {
  ${choose}
  let row = ${row};
  let column = ${column};
  let rowEnd = ${rowEnd};
  let stride = ${stride};
  let place = ${first} + row * stride + column;
  let isColumn = column + vec4u(0, 1, 2, 3) < vec4u(${columnEnd});
  var block: mat4x4f;
  ${reads}
  return ${innerLast ? 'transpose(block)' : 'block'};
}`;
}
