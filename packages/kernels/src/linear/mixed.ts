// The linear map on matrix units: f16 operands, sums in f32. Each operand is brought to f16 once, in one dispatch for all, and serves
// products along its rows and over them: the gradient packs dy once for dx and dW, where two plain products would pack it twice.
import { sizeOf } from '@mnemix/tensor';
import { u32, type GpuDispatch, type GpuKernel, type GpuPlan } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { isAbleOfMixed, operandOfDy, productKernel, TILE } from '../grouped-linear/mixed.ts';
import type { InnerLast } from '../grouped-linear/mixed-wgsl.ts';
import { biasWgsl, buffersOfY, putRowsWgsl, tensorsOfY, type Widths } from '../grouped-linear/write-wgsl.ts';
import { elementOf, fourWgsl } from '../mat-mul/bindings.ts';
import { depthOf, ENOUGH_WORKGROUPS, LEAST_DEPTH } from '../mat-mul/gpu.ts';
import { columnsOf, rowsOf } from '../mat-mul/mixed.ts';
import { packedOf, packRows, scalesOf, strideOf } from '../mat-mul/pack-rows.ts';
import { sumParts } from './sum-parts.ts';

export interface Sizes {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  /** The rows of each tensor that the weight consists of, by its name. */
  readonly sources: Readonly<Record<string, number>>;
}

/** Of a product of rows × inner and inner × columns. */
interface Product {
  readonly a: 'x' | 'dy';
  readonly b: 'weight' | 'x';
  readonly y: readonly string[];
  readonly widths?: Widths;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly innerLast: InnerLast;
  /** Of a packed row of each operand, in vectors. */
  readonly strides: readonly [a: number, b: number];
  readonly hasBias?: boolean;
  /** What is added to y. */
  readonly added?: string | undefined;
  /** Into which k is cut, each with a y of its own. */
  readonly parts?: number;
}

const tilesOf = (rows: number, columns: number): number =>
  Math.ceil(rows / rowsOf(TILE)) * Math.ceil(columns / columnsOf(TILE));

/** Whether the map is large enough, its tiles fill a device without cutting k, and the device is able. */
export const isForMixed = (sizes: Sizes, device: GPUDevice): boolean =>
  isAbleOfMixed(sizes, device) &&
  tilesOf(sizes.rows, Math.min(sizes.inputs, sizes.outputs)) >= ENOUGH_WORKGROUPS;

/** @param widths of y0, y1, …; left out, the outputs are y */
export function forward(
  { rows, inputs, outputs, sources }: Sizes,
  hasBias: boolean,
  widths?: Widths,
): GpuPlan {
  const packing = packRows({
    x: { width: inputs, sources: { x: rows } },
    weight: { width: inputs, sources },
  });
  const product = multiply({
    a: 'x',
    b: 'weight',
    y: tensorsOfY(widths),
    widths,
    rows,
    columns: outputs,
    inner: inputs,
    innerLast: { a: true, b: true },
    strides: [strideOf(inputs), strideOf(inputs)],
    hasBias,
  });
  return {
    outputs: Object.fromEntries(
      tensorsOfY(widths).map((name, m) => [name, { shape: [rows, widths?.[m] ?? outputs] }]),
    ),
    scratch: packing.scratch,
    dispatches: [...packing.dispatches, product],
  };
}

/**
 * Of a map without a bias.
 *
 * @param gradients of the weight: their shapes, by name. Together they are its rows
 * @param options.widths of dy0, dy1, …; left out, the gradient of the outputs is dy
 * @param options.isPassed x was passed on, and `dPassed` is to be added to dx
 */
export function backward(
  { rows, inputs, outputs, sources }: Sizes,
  gradients: Readonly<Record<string, readonly number[]>>,
  device: GPUDevice,
  { widths, isPassed = false }: { readonly widths?: Widths; readonly isPassed?: boolean } = {},
): GpuPlan {
  const packing = packRows({
    x: { width: inputs, sources: { x: rows } },
    dy: operandOfDy(rows, outputs, widths),
    weight: { width: inputs, sources },
  });
  const dx = multiply({
    a: 'dy',
    b: 'weight',
    y: ['dx'],
    added: isPassed ? 'dPassed' : undefined,
    rows,
    columns: inputs,
    inner: outputs,
    innerLast: { a: true, b: false },
    strides: [strideOf(outputs), strideOf(inputs)],
  });
  const parts = Math.max(
    1,
    Math.min(Math.ceil(ENOUGH_WORKGROUPS / tilesOf(outputs, inputs)), Math.floor(rows / LEAST_DEPTH)),
  );
  const shapes = Object.entries(gradients);
  const sums = sumParts(
    parts,
    Object.fromEntries(shapes.map(([name, shape]) => [name, sizeOf(shape)])),
    device,
  );
  const dWeight = multiply({
    a: 'dy',
    b: 'x',
    y: [sums.from],
    rows: outputs,
    columns: inputs,
    inner: rows,
    innerLast: { a: false, b: false },
    strides: [strideOf(outputs), strideOf(inputs)],
    parts,
  });
  return {
    outputs: {
      dx: { shape: [rows, inputs] },
      ...Object.fromEntries(shapes.map(([name, shape]) => [name, { shape }])),
    },
    scratch: { ...packing.scratch, ...sums.scratch },
    dispatches: [...packing.dispatches, dx, dWeight, ...sums.dispatches],
  };
}

function multiply({
  a,
  b,
  y,
  widths,
  rows,
  columns,
  inner,
  innerLast,
  strides,
  hasBias = false,
  added,
  parts = 1,
}: Product): GpuDispatch {
  return {
    kernel: kernelOf(linearKernel, {
      innerLast,
      hasBias,
      isAdded: added !== undefined,
      widths,
      isVector: columns % 4 === 0,
    }),
    buffers: [
      packedOf(a),
      packedOf(b),
      scalesOf(a),
      scalesOf(b),
      ...(hasBias ? ['bias'] : []),
      ...(added === undefined ? [] : [added]),
      ...y,
    ],
    uniforms: [rows, columns, inner, depthOf(inner, parts, TILE.depth), ...strides].map(u32),
    workgroups: [Math.ceil(columns / columnsOf(TILE)), Math.ceil(rows / rowsOf(TILE)), parts],
    flops: 2 * rows * columns * inner,
  };
}

interface Variant {
  readonly innerLast: InnerLast;
  readonly hasBias: boolean;
  readonly isAdded: boolean;
  readonly widths: Widths;
  readonly isVector: boolean;
}

const linearKernel = ({ innerLast, hasBias, isAdded, widths, isVector }: Variant): GpuKernel =>
  productKernel({
    name: `Linear mixed ${innerLast.b ? 'forward' : innerLast.a ? 'dx' : 'dW'}`,
    innerLast,
    inputs: [
      ['packedA', 'vec4u'],
      ['packedB', 'vec4u'],
      ['scalesA', 'f32'],
      ['scalesB', 'f32'],
      ...(hasBias ? [['bias', 'f32'] as const] : []),
      ...(isAdded ? [['added', elementOf(isVector)] as const] : []),
    ],
    outputs: buffersOfY(widths, isVector),
    fields: ['rows', 'columns', 'inner', 'partInner', 'strideA', 'strideB'],
    parts: [
      placesWgsl(
        innerLast,
        isAdded ? ` + ${fourWgsl('added', 'row * sizes.columns + column', isVector)}` : '',
      ),
      putRowsWgsl(isVector, widths),
      biasWgsl(hasBias),
    ],
  });

/**
 * Where a workgroup's operands and their scales lie, and where its sums go: for mixedProductWgsl.
 *
 * @param more what is added to a sum: the end of an expression
 */
const placesWgsl = ({ a, b }: InnerLast, more: string): string => `
const ownGroup = 0u;
var<private> ownRow: u32;
var<private> ownInner: u32;
var<private> ownPart: u32;

fn begin(group: vec3u, local: u32) -> Part {
  let row = group.y * tileRows;
  let column = group.x * tileColumns;
  let inner = group.z * sizes.partInner;
  ownRow = row;
  ownInner = inner;
  ownPart = group.z;
  return Part(
    ${a ? 'row * sizes.strideA + inner / 8' : 'inner * sizes.strideA + row / 8'},
    ${b ? 'column * sizes.strideB + inner / 8' : 'inner * sizes.strideB + column / 8'},
    // Cut into whole slices, k may leave nothing for the last parts.
    select(0, min(sizes.partInner, sizes.inner - inner), inner < sizes.inner),
  );
}
${
  a
    ? `
fn scaleOfA(row: u32) -> f32 {
  return select(0, scalesA[ownRow + row], ownRow + row < sizes.rows);
}`
    : ''
}
${
  b
    ? `
fn scaleOfB(column: u32) -> f32 {
  return select(0, scalesB[column], column < sizes.columns);
}`
    : `
fn scalesOfInner(k: u32) -> vec2f {
  return vec2f(${a ? '1' : 'scalesA[ownInner + k]'}, scalesB[ownInner + k]);
}`
}

fn write(row: u32, column: u32, sum: vec4f) {
  if (row < sizes.rows && column < sizes.columns) {
    put(ownPart * sizes.rows + row, column, withBias(sum, column)${more});
  }
}`;
