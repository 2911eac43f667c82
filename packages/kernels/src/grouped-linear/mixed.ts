// The grouped linear map on matrix units: f16 operands, sums in f32. Operands are first brought to f16, each row times a power of two
// of its own: f16 has few exponents, and gradients are small.
import { u32, type GpuDispatch, type GpuKernel } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { matrixHeading, SUBGROUP, subgroupsHeading } from '../gpu/matrix-units.ts';
import { accessOf, bindingsWgsl, type Bindings } from '../mat-mul/bindings.ts';
import { ENOUGH_WORKGROUPS, FEW_PRODUCTS } from '../mat-mul/gpu.ts';
import { columnsOf, rowsOf, type MixedTile } from '../mat-mul/mixed.ts';
import {
  canPackColumns,
  packedOf,
  packRows,
  scalesOf,
  strideOf,
  type Operand,
  type Part,
} from '../mat-mul/pack-rows.ts';
import mixedRowsWgsl from './mixed-rows.wgsl';
import { bytesOfMixed, mixedHeadingWgsl, mixedProductWgsl, type InnerLast } from './mixed-wgsl.ts';
import mixedWeightGradientWgsl from './mixed-weight-gradient.wgsl';
import { biasWgsl, buffersOfY, putRowsWgsl, tensorsOfY, type Widths } from './write-wgsl.ts';
import rowsWgsl from './rows.wgsl';
import { mostTiles, partRows, type Sizes } from './sizes.ts';
import type { Sum } from './sum-tiles.ts';
import tilesWgsl from './tiles.wgsl';

/** Sixteen subgroups with half as many sums in registers as mat-mul's eight: the more there are, the more is hidden behind others. */
export const TILE: MixedTile = {
  fragmentRows: 4,
  fragmentColumns: 2,
  subgroupRows: 4,
  subgroupColumns: 4,
  depth: 32,
};
const INVOCATIONS = SUBGROUP * TILE.subgroupRows * TILE.subgroupColumns;
/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 9;
/** Those of packing for the gradient: of x, and of what is packed and scaled. */
const PACKING_BUFFERS = 7;
const LEAST_WIDTH = 64;

const FORWARD: InnerLast = { a: true, b: true };
const ROWS_GRADIENT: InnerLast = { a: true, b: false };
const WEIGHT_GRADIENT: InnerLast = { a: false, b: false };

/** The gradient of the outputs as what is packed. */
export const operandOfDy = (rows: number, outputs: number, widths: Widths): Operand =>
  widths
    ? { rows, columns: Object.fromEntries(widths.map((width, m) => [`dy${m}`, width])) }
    : { width: outputs, sources: { dy: rows } };

/**
 * Whether outputs can be apart: the device has the buffers, and they can be packed.
 *
 * @param weights tensors that are packed beside the outputs' gradients: those that the weight consists of
 */
export const isAbleOfApart = (
  widths: readonly number[],
  { limits }: GPUDevice,
  weights: Readonly<Record<string, number>> = {},
): boolean => {
  const others = Math.max(MOST_BUFFERS, PACKING_BUFFERS + Object.keys(weights).length);
  return others + widths.length <= limits.maxStorageBuffersPerShaderStage && canPackColumns(widths);
};

/** Whether a linear map is large enough, and the device able. */
export const isAbleOfMixed = (
  { rows, inputs, outputs }: Pick<Sizes, 'rows' | 'inputs' | 'outputs'>,
  { features, limits }: GPUDevice,
): boolean =>
  features.has('subgroups') &&
  Math.min(inputs, outputs) >= LEAST_WIDTH &&
  rows * inputs * outputs >= FEW_PRODUCTS &&
  limits.maxStorageBuffersPerShaderStage >= MOST_BUFFERS &&
  limits.maxComputeInvocationsPerWorkgroup >= INVOCATIONS &&
  limits.maxComputeWorkgroupStorageSize >=
    Math.max(...[FORWARD, ROWS_GRADIENT, WEIGHT_GRADIENT].map((innerLast) => bytesOfMixed(TILE, innerLast)));

/** @param widths of y0, y1, …; left out, the outputs are y */
export function mixedForward(sizes: Sizes, hasBias: boolean, widths?: Widths): Part {
  const { rows, inputs, outputs, sources } = sizes;
  const packing = packRows({
    x: { width: inputs, sources: { x: rows } },
    weight: { width: inputs, sources },
  });
  const product = rowsProduct(sizes, {
    rows: 'x',
    inner: inputs,
    columns: outputs,
    widths,
    innerLast: true,
    hasBias,
  });
  return { ...packing, dispatches: [...packing.dispatches, product] };
}

/**
 * The gradients of x and the weights, not of the biases.
 *
 * @param widths of dy0, dy1, …; left out, the gradient of the outputs is dy
 */
export function mixedBackward(sizes: Sizes, sum: Sum, widths?: Widths): Part {
  const { rows, inputs, outputs, sources } = sizes;
  const packing = packRows({
    x: { width: inputs, sources: { x: rows } },
    dy: operandOfDy(rows, outputs, widths),
    weight: { width: inputs, sources },
  });
  const dx = rowsProduct(sizes, {
    rows: 'dy',
    inner: outputs,
    columns: inputs,
    innerLast: false,
    hasBias: false,
  });
  const dWeight = weightGradient(sizes, sum);
  return {
    scratch: { ...packing.scratch, ...dWeight.scratch },
    dispatches: [...packing.dispatches, dx, ...dWeight.dispatches],
  };
}

interface RowsProduct {
  readonly rows: 'x' | 'dy';
  readonly inner: number;
  readonly columns: number;
  readonly widths?: Widths;
  /** k goes along the weights' rows: y = x·Wᵀ. Otherwise over them: dx = dy·W. */
  readonly innerLast: boolean;
  readonly hasBias: boolean;
}

function rowsProduct(
  sizes: Sizes,
  { rows, inner, columns, widths, innerLast, hasBias }: RowsProduct,
): GpuDispatch {
  return {
    kernel: kernelOf(rowsKernel, { innerLast, hasBias, widths, isVector: columns % 4 === 0 }),
    buffers: [
      packedOf(rows),
      packedOf('weight'),
      scalesOf(rows),
      scalesOf('weight'),
      'starts',
      'lengths',
      'rowSequence',
      ...(hasBias ? ['bias'] : []),
      ...(innerLast ? tensorsOfY(widths) : ['dx']),
    ],
    uniforms: [columns, inner, strideOf(inner), strideOf(sizes.inputs), sizes.groups, sizes.rows].map(u32),
    workgroups: [Math.ceil(columns / columnsOf(TILE)), 1, mostTiles(sizes, rowsOf(TILE))],
  };
}

interface RowsVariant {
  readonly innerLast: boolean;
  readonly hasBias: boolean;
  readonly widths: Widths;
  readonly isVector: boolean;
}

const rowsKernel = ({ innerLast, hasBias, widths, isVector }: RowsVariant): GpuKernel =>
  productKernel({
    name: `GroupedLinear mixed ${innerLast ? 'forward' : 'dx'}`,
    innerLast: innerLast ? FORWARD : ROWS_GRADIENT,
    inputs: [...OPERANDS, ['rowSequence', 'i32'], ...(hasBias ? [['bias', 'f32'] as const] : [])],
    outputs: buffersOfY(widths, isVector),
    fields: ['columns', 'inner', 'strideA', 'strideB', 'groups', 'total'],
    parts: [
      tilesWgsl,
      putRowsWgsl(isVector, widths),
      rowsWgsl,
      biasWgsl(hasBias),
      weightWgsl(innerLast),
      mixedRowsWgsl,
    ],
  });

/** Where a group's weight begins, from a column of y on; and the scales of its rows, which are y's columns, or k. */
const weightWgsl = (innerLast: boolean): string =>
  innerLast
    ? `
fn startOfWeight(group: u32, column: u32) -> u32 {
  return (group * sizes.columns + column) * sizes.strideB;
}

fn scaleOfB(column: u32) -> f32 {
  return select(0, scalesB[ownGroup * sizes.columns + column], column < sizes.columns);
}`
    : `
fn startOfWeight(group: u32, column: u32) -> u32 {
  return group * sizes.inner * sizes.strideB + column / 8;
}

fn scalesOfInner(k: u32) -> vec2f {
  return vec2f(scalesB[ownGroup * sizes.inner + k], 1);
}`;

/** The weights' gradient by way of `parts`: a product for each tile of rows, added up for each group. */
function weightGradient(sizes: Sizes, sum: Sum): Part {
  const { groups, inputs, outputs } = sizes;
  const across = [Math.ceil(inputs / columnsOf(TILE)), Math.ceil(outputs / rowsOf(TILE))] as const;
  const tileRows = partRows(sizes, across[0] * across[1], ENOUGH_WORKGROUPS, TILE.depth);
  const tiles = mostTiles(sizes, tileRows);
  const product: GpuDispatch = {
    kernel: kernelOf(weightGradientKernel, { isVector: inputs % 4 === 0 }),
    buffers: [packedOf('dy'), packedOf('x'), scalesOf('dy'), scalesOf('x'), 'starts', 'lengths', 'parts'],
    uniforms: [outputs, inputs, tileRows, strideOf(outputs), strideOf(inputs), groups].map(u32),
    workgroups: [...across, tiles],
  };
  return {
    scratch: { parts: { shape: [tiles, outputs * inputs] } },
    dispatches: [product, ...sum({ parts: 'parts', size: outputs * inputs, groups, tileRows })],
  };
}

const weightGradientKernel = ({ isVector }: Pick<RowsVariant, 'isVector'>): GpuKernel =>
  productKernel({
    name: 'GroupedLinear mixed dW',
    innerLast: WEIGHT_GRADIENT,
    inputs: OPERANDS,
    outputs: buffersOfY(undefined, isVector),
    fields: ['rows', 'columns', 'partRows', 'strideA', 'strideB', 'groups'],
    parts: [tilesWgsl, putRowsWgsl(isVector, undefined), mixedWeightGradientWgsl],
  });

/** The buffers that all products begin with. */
const OPERANDS = [
  ['packedA', 'vec4u'],
  ['packedB', 'vec4u'],
  ['scalesA', 'f32'],
  ['scalesB', 'f32'],
  ['starts', 'i32'],
  ['lengths', 'i32'],
] as const;

interface ProductText extends Bindings {
  readonly name: string;
  readonly innerLast: InnerLast;
  /** What mixedProductWgsl asks for: begin, write, scales. */
  readonly parts: readonly string[];
}

export function productKernel({ name, innerLast, parts, ...bindings }: ProductText): GpuKernel {
  const text = [
    subgroupsHeading,
    matrixHeading,
    bindingsWgsl(bindings),
    mixedHeadingWgsl(TILE),
    ...parts,
    mixedProductWgsl(TILE, innerLast),
  ];
  return { name, wgsl: text.join('\n'), bindings: accessOf(bindings) };
}
