// The product in f32 of batches of matrices that are stored this way or that, with an epilogue.
import type { GpuKernel } from '../gpu/kernel.ts';
import { elementOf } from './bindings.ts';
import { epilogueBuffers, writeWgsl, type Epilogue } from './epilogue.ts';
import {
  columnsOf,
  mainWgsl,
  productWgsl,
  readWgsl,
  rowsOf,
  slicesWgsl,
  writesWgsl,
  type Stored,
  type Tile,
} from './float32-wgsl.ts';
import { sizesWgsl } from './sizes.ts';

export interface Float32Variant {
  readonly tile: Tile;
  readonly epilogue: Epilogue;
  readonly a: Stored;
  readonly b: Stored;
  /** The columns of y are a multiple of 4. */
  readonly isVector: boolean;
}

/** Its buffers are a, b, those of the epilogue, y; its uniforms are those of sizes.ts. */
export function float32Kernel({ a, b, tile, epilogue, isVector }: Float32Variant): GpuKernel {
  const inputs = ['a', 'b', ...epilogueBuffers(epilogue)];
  const elements = [elementOf(a.isVector), elementOf(b.isVector)];
  const lines = [
    ...inputs.map(
      (name, i) =>
        `@group(0) @binding(${i}) var<storage, read> ${name}: array<${elements[i] ?? elementOf(false)}>;`,
    ),
    `@group(0) @binding(${inputs.length}) var<storage, read_write> y: array<${elementOf(isVector)}>;`,
    sizesWgsl(inputs.length + 1),
    slicesWgsl(tile),
    readOperand('a', 'sizes.rows', a),
    readOperand('b', 'sizes.columns', b),
    writeWgsl(epilogue, isVector),
    writeInMatrixWgsl,
    mainWgsl(
      tile,
      productWgsl({
        tile,
        begin: beginWgsl(tile),
        readA: 'read_a',
        readB: 'read_b',
        innerLast: { a: a.innerLast, b: b.innerLast },
        end: `matrixRow = (sizes.first + group.z) * sizes.rows;${writesWgsl(tile, 'writeInMatrix')}`,
      }),
    ),
  ];
  return {
    name: 'MatMul',
    wgsl: lines.join('\n'),
    bindings: [...inputs.map(() => 'read' as const), 'write'],
  };
}

const readOperand = (buffer: string, edge: string, { innerLast, isVector }: Stored): string =>
  readWgsl({
    name: `read_${buffer}`,
    tensors: [{ buffer, isVector }],
    innerLast,
    stride: innerLast ? 'sizes.inner' : edge,
    edgeEnd: edge,
  });

/** Workgroups of z have a matrix of the batch, from `first` on, and behind all those come the next part of k's. */
const beginWgsl = (tile: Tile): string => `
  let row0 = group.y * ${rowsOf(tile)};
  let column0 = group.x * ${columnsOf(tile)};
  let matrix = sizes.first + group.z;
  let starts = startsOf(matrix % sizes.batches);
  let startA = starts.x;
  let startB = starts.y;
  let inner0 = matrix / sizes.batches * sizes.splitDepth;
  let innerEnd = min(sizes.inner, inner0 + sizes.splitDepth);`;

const writeInMatrixWgsl = `
/** Where the workgroup's matrix begins in y. */
var<private> matrixRow: u32;

fn writeInMatrix(row: u32, column: u32, sum: vec4f) {
  if (row < sizes.rows && column < sizes.columns) {
    write((matrixRow + row) * sizes.columns + column, column, sum);
  }
}`;
