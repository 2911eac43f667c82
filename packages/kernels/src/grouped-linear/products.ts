// The products of a grouped linear map in f32: what stands before the body of the matrix product, for tiles of rows that only the
// device knows.
import type { GpuKernel, Uniform } from '../gpu/kernel.ts';
import { u32 } from '../gpu/kernel.ts';
import { writeWgsl } from '../mat-mul/epilogue.ts';
import { nothingToPrepareWgsl, readWgsl, type Tile } from '../mat-mul/float32.ts';
import body from '../mat-mul/float32.wgsl';
import float32RowsWgsl from './float32-rows.wgsl';
import rowsWgsl from './rows.wgsl';
import tilesWgsl from './tiles.wgsl';
import weightGradientWgsl from './weight-gradient.wgsl';

const FIELDS = ['rows', 'columns', 'inner', 'splitDepth', 'batches', 'groups', 'total'] as const;

/** The sizes of a product as the body takes them, and those of the groups. */
export const sizesOf = (sizes: { readonly [Name in (typeof FIELDS)[number]]: number }): Uniform[] =>
  FIELDS.map((name) => u32(sizes[name]));

export interface RowsVariant {
  readonly tile: Tile;
  /** The weights' last axis is k: y = x·Wᵀ. Otherwise their first is: dx = dy·W. */
  readonly innerLast: boolean;
  readonly hasBias: boolean;
  /** k is a multiple of 4. */
  readonly isVector: boolean;
  /** The columns of y are a multiple of 4. */
  readonly isVectorY: boolean;
}

/**
 * Rows times their group's weight. Its buffers are a (the rows), b (the weights), starts, lengths, rowSequence, bias if there is one, y;
 * `sizes.rows` are those of a tile, `sizes.batches` the tiles.
 */
export function rowsKernel({ tile, innerLast, hasBias, isVector, isVectorY }: RowsVariant): GpuKernel {
  const isVectorB = innerLast ? isVector : isVectorY;
  const inputs = [
    ['a', isVector ? 'vec4f' : 'f32'],
    ['b', isVectorB ? 'vec4f' : 'f32'],
    ['starts', 'i32'],
    ['lengths', 'i32'],
    ['rowSequence', 'i32'],
    ...(hasBias ? [['bias', 'f32'] as const] : []),
  ] as const;
  return productKernel({
    name: `GroupedLinear ${innerLast ? 'forward' : 'dx'}`,
    tile,
    innerLast: { a: true, b: innerLast },
    inputs,
    isVector: isVectorY,
    parts: [
      readWgsl('readA', 'a', 'ownRows', { innerLast: true, isVector }),
      readWgsl('readB', 'b', 'sizes.columns', { innerLast, isVector: isVectorB }),
      putWgsl(isVectorY),
      rowsWgsl,
      biasWgsl(hasBias),
      float32RowsWgsl,
    ],
  });
}

export interface WeightGradientVariant {
  readonly tile: Tile;
  /** The outputs, and the inputs, of the map are multiples of 4. */
  readonly isVectorOutputs: boolean;
  readonly isVectorInputs: boolean;
}

/**
 * dyᵀ·x over each tile's rows. Its buffers are a (dy), b (x), starts, lengths, y [tiles, outputs, inputs]; `sizes.inner` are the rows of
 * a tile, `sizes.batches` the tiles.
 */
export function weightGradientKernel({
  tile,
  isVectorOutputs,
  isVectorInputs,
}: WeightGradientVariant): GpuKernel {
  return productKernel({
    name: 'GroupedLinear dW',
    tile,
    innerLast: { a: false, b: false },
    inputs: [
      ['a', isVectorOutputs ? 'vec4f' : 'f32'],
      ['b', isVectorInputs ? 'vec4f' : 'f32'],
      ['starts', 'i32'],
      ['lengths', 'i32'],
    ],
    isVector: isVectorInputs,
    parts: [
      readWgsl('readA', 'a', 'sizes.rows', { innerLast: false, isVector: isVectorOutputs }),
      readWgsl('readB', 'b', 'sizes.columns', { innerLast: false, isVector: isVectorInputs }),
      writeWgsl({ hasBias: false, activation: 'linear' }, isVectorInputs),
      weightGradientWgsl,
      nothingToPrepareWgsl,
    ],
  });
}

export interface Bindings {
  /** Names and elements of the buffers before y. */
  readonly inputs: readonly (readonly [name: string, element: string])[];
  /** y is an array of vectors. */
  readonly isVector: boolean;
  /** Of `sizes`. */
  readonly fields: readonly string[];
}

export const bindingsWgsl = ({ inputs, isVector, fields }: Bindings): string =>
  [
    ...inputs.map(
      ([buffer, element], i) => `@group(0) @binding(${i}) var<storage, read> ${buffer}: array<${element}>;`,
    ),
    `@group(0) @binding(${inputs.length}) var<storage, read_write> y: array<${isVector ? 'vec4f' : 'f32'}>;`,
    `struct Sizes { ${fields.map((field) => `${field}: u32,`).join(' ')} }`,
    `@group(0) @binding(${inputs.length + 1}) var<uniform> sizes: Sizes;`,
  ].join('\n');

interface ProductText extends Omit<Bindings, 'fields'> {
  readonly name: string;
  readonly tile: Tile;
  /** Which operands have k as their last axis. */
  readonly innerLast: { readonly a: boolean; readonly b: boolean };
  readonly parts: readonly string[];
}

function productKernel({ name, tile, innerLast, inputs, isVector, parts }: ProductText): GpuKernel {
  const lines = [
    ...Object.entries(tile).map(([field, value]) => `const ${field} = ${value}u;`),
    `const innerLastA = ${innerLast.a};`,
    `const innerLastB = ${innerLast.b};`,
    bindingsWgsl({ inputs, isVector, fields: FIELDS }),
    tilesWgsl,
    ...parts,
    body,
  ];
  return { name, wgsl: lines.join('\n'), bindings: [...inputs.map(() => 'read' as const), 'write'] };
}

/** `put(row, column, value)`: up to four neighbouring columns of a row of y. */
export const putWgsl = (isVector: boolean): string => `
fn put(row: u32, column: u32, value: vec4f) {
  let at = row * sizes.columns + column;
  ${isVector ? 'y[at / 4] = value;' : [0, 1, 2, 3].map((c) => `if (column + ${c} < sizes.columns) { y[at + ${c}] = value[${c}]; }`).join(' ')}
}`;

/** `withBias(sum, column)`. */
export const biasWgsl = (hasBias: boolean): string => `
fn withBias(sum: vec4f, column: u32) -> vec4f {
  ${hasBias ? 'let at = ownGroup * sizes.columns + column; return sum + vec4f(bias[at], bias[at + 1], bias[at + 2], bias[at + 3]);' : 'return sum;'}
}`;
