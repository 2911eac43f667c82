// The product on matrix units: f16 operands, sums in f32. The operands are first brought into one form, whatever theirs is, and
// scaled by powers of two so that their largest values are just below 1: f16 has few exponents, and gradients are small.
import type { GpuDispatch, GpuKernel } from '../gpu/kernel.ts';
import { u32 } from '../gpu/kernel.ts';
import { FRAGMENT, matrixHeading, PADDING } from '../gpu/matrix-units.ts';
import { epilogueBuffers, writeWgsl, type Epilogue } from './epilogue.ts';
import largestWgsl from './largest.wgsl';
import { mixedWgsl } from './mixed-wgsl.ts';
import packWgsl from './pack.wgsl';
import { sizesWgsl, type Product } from './sizes.ts';

/** How a workgroup's part of y is shared out: subgroups of fragments of 16 × 16 each, in slices of `depth`. */
export interface MixedTile {
  readonly fragmentRows: number;
  readonly fragmentColumns: number;
  readonly subgroupRows: number;
  readonly subgroupColumns: number;
  readonly depth: number;
}

export const rowsOf = ({ fragmentRows, subgroupRows }: MixedTile): number =>
  FRAGMENT * fragmentRows * subgroupRows;
export const columnsOf = ({ fragmentColumns, subgroupColumns }: MixedTile): number =>
  FRAGMENT * fragmentColumns * subgroupColumns;
/** Of workgroup memory. */
export const bytesOf = (tile: MixedTile): number =>
  2 * (tile.depth + PADDING) * (rowsOf(tile) + columnsOf(tile)) +
  4 * FRAGMENT ** 2 * tile.subgroupRows * tile.subgroupColumns;

export interface MixedVariant {
  readonly tile: MixedTile;
  readonly epilogue: Epilogue;
  /** The columns of y are a multiple of 4. */
  readonly isVector: boolean;
}

/** Its buffers are packedA, packedB, scales, those of the epilogue, y; its uniforms are those of sizes.ts. */
export function mixedKernel({ tile, epilogue, isVector }: MixedVariant): GpuKernel {
  const inputs = ['packedA', 'packedB', 'scales', ...epilogueBuffers(epilogue)];
  const lines = [
    matrixHeading,
    ...inputs.map(
      (name, i) =>
        `@group(0) @binding(${i}) var<storage, read> ${name}: array<${name.startsWith('packed') ? 'vec4u' : 'f32'}>;`,
    ),
    `@group(0) @binding(${inputs.length}) var<storage, read_write> y: array<${isVector ? 'vec4f' : 'f32'}>;`,
    sizesWgsl(inputs.length + 1),
    writeWgsl(epilogue, isVector),
    mixedWgsl(tile),
  ];
  return {
    name: 'MatMul mixed',
    wgsl: lines.join('\n'),
    bindings: [...inputs.map(() => 'read' as const), 'write'],
  };
}

/** Workgroups for each operand that look for its largest value: as many as pack.wgsl has invocations. */
const PARTIALS = 256;
/** What a workgroup of pack.wgsl takes, along the edge and along k. */
const [PACK_EDGE, PACK_INNER] = [128, 64];

/** The module of pack.wgsl by whether A, and whether B, can be read in vectors. */
const packTexts = [false, true].map((vectorA) =>
  [false, true].map((vectorB) =>
    [operandWgsl('A', 0, vectorA), operandWgsl('B', 1, vectorB), packWgsl].join('\n'),
  ),
);

function operandWgsl(name: 'A' | 'B', binding: number, isVector: boolean): string {
  const buffer = name.toLowerCase();
  const scalars = [0, 1, 2, 3].map((c) => `${buffer}[at + ${c}]`).join(', ');
  return `
@group(0) @binding(${binding}) var<storage, read> ${buffer}: array<${isVector ? 'vec4f' : 'f32'}>;
fn fourOf${name}(at: u32) -> vec4f {
  return ${isVector ? `${buffer}[at / 4]` : `vec4f(${scalars})`};
}`;
}

export interface Padding {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
}

/** From the operands a and b: packedA, packedB (two f16 in 32 bits) and scales, with `partials` between. */
export function packing(
  { rows, columns, inner, a, b }: Product,
  padded: Padding,
): { readonly dispatches: GpuDispatch[]; readonly scratch: Record<string, { readonly shape: number[] }> } {
  const edges = Math.max(padded.rows, padded.columns);
  return {
    scratch: {
      partials: { shape: [2, PARTIALS] },
      packedA: { shape: [a.count, padded.rows, padded.inner / 2] },
      packedB: { shape: [b.count, padded.columns, padded.inner / 2] },
      scales: { shape: [2] },
    },
    dispatches: [
      {
        kernel: { name: 'MatMul largest', wgsl: largestWgsl, bindings: ['read', 'read', 'write'] },
        buffers: ['a', 'b', 'partials'],
        uniforms: [u32(a.count * rows * inner), u32(b.count * inner * columns)],
        workgroups: [PARTIALS, 2],
      },
      {
        kernel: {
          name: 'MatMul pack',
          wgsl: packTexts[Number(a.isVector)]?.[Number(b.isVector)] as string,
          bindings: ['read', 'read', 'read', 'write', 'write', 'write'],
          constants: { innerLastA: Number(a.innerLast), innerLastB: Number(b.innerLast) },
        },
        buffers: ['a', 'b', 'partials', 'packedA', 'packedB', 'scales'],
        uniforms: [inner, padded.inner, rows, columns, padded.rows, padded.columns, a.count].map(u32),
        workgroups: [Math.ceil(padded.inner / PACK_INNER), Math.ceil(edges / PACK_EDGE), a.count + b.count],
      },
    ],
  };
}
