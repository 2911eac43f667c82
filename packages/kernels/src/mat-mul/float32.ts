// The product in f32: what stands before float32.wgsl, for operands that are stored this way or that.
import type { GpuKernel } from '../gpu/kernel.ts';
import { epilogueBuffers, writeWgsl, type Epilogue } from './epilogue.ts';
import body from './float32.wgsl';
import { sizesWgsl, type Operand } from './sizes.ts';

/** How a workgroup's part of y is shared out; see float32.wgsl. */
export interface Tile {
  readonly quads: number;
  readonly vectors: number;
  readonly laneRows: number;
  readonly laneColumns: number;
  readonly depth: number;
}

export const rowsOf = ({ quads, laneRows }: Tile): number => 4 * quads * laneRows;
export const columnsOf = ({ vectors, laneColumns }: Tile): number => 4 * vectors * laneColumns;
/** Of workgroup memory: two slices of each operand. */
export const bytesOf = (tile: Tile): number => 8 * tile.depth * (rowsOf(tile) + columnsOf(tile));

export interface Float32Variant {
  readonly tile: Tile;
  readonly epilogue: Epilogue;
  readonly a: Pick<Operand, 'innerLast' | 'isVector'>;
  readonly b: Pick<Operand, 'innerLast' | 'isVector'>;
  /** The columns of y are a multiple of 4. */
  readonly isVector: boolean;
}

/** Its buffers are a, b, those of the epilogue, y; its uniforms are those of sizes.ts. */
export function float32Kernel({ a, b, tile, epilogue, isVector }: Float32Variant): GpuKernel {
  const inputs = ['a', 'b', ...epilogueBuffers(epilogue)];
  const element = (vector: boolean): string => (vector ? 'vec4f' : 'f32');
  const elements = [element(a.isVector), element(b.isVector)];
  const lines = [
    ...Object.entries(tile).map(([name, value]) => `const ${name} = ${value}u;`),
    `const innerLastA = ${a.innerLast};`,
    `const innerLastB = ${b.innerLast};`,
    ...inputs.map(
      (name, i) =>
        `@group(0) @binding(${i}) var<storage, read> ${name}: array<${elements[i] ?? element(false)}>;`,
    ),
    `@group(0) @binding(${inputs.length}) var<storage, read_write> y: array<${element(isVector)}>;`,
    sizesWgsl(inputs.length + 1),
    nothingToPrepareWgsl,
    readWgsl('readA', 'a', 'sizes.rows', a),
    readWgsl('readB', 'b', 'sizes.columns', b),
    writeWgsl(epilogue, isVector),
    body,
  ];
  return {
    name: 'MatMul',
    wgsl: lines.join('\n'),
    bindings: [...inputs.map(() => 'read' as const), 'write'],
  };
}

/** Of a product whose workgroups do nothing else. */
export const nothingToPrepareWgsl = 'fn prepare(batch: u32, column0: u32, local: u32) {}';

/**
 * Reads a block of 4 × 4, turned so that k is its outer axis; zero outside of the operand.
 *
 * @param edgeSize its other axis
 */
export function readWgsl(
  name: string,
  buffer: string,
  edgeSize: string,
  { innerLast, isVector }: Float32Variant['a'],
): string {
  const [row, column] = innerLast ? ['edge', 'inner'] : ['inner', 'edge'];
  const [rows, columns] = innerLast ? [edgeSize, 'innerEnd'] : ['innerEnd', edgeSize];
  const stride = innerLast ? 'sizes.inner' : edgeSize;
  const four = [0, 1, 2, 3].map((c) => `${buffer}[at + ${c}]`).join(', ');
  return `
fn ${name}(start: u32, edge: u32, inner: u32, innerEnd: u32) -> mat4x4f {
  var block: mat4x4f;
  let isColumn = ${column} + vec4u(0, 1, 2, 3) < vec4u(${columns});
  for (var i = 0u; i < 4; i++) {
    let at = start + (${row} + i) * ${stride} + ${column};
    block[i] = select(vec4f(), ${isVector ? `${buffer}[at / 4]` : `vec4f(${four})`}, isColumn & vec4<bool>(${row} + i < ${rows}));
  }
  return ${innerLast ? 'transpose(block)' : 'block'};
}`;
}
