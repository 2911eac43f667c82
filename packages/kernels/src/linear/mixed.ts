// The linear map on matrix units: f16 operands, sums in f32. Each operand is brought to f16 once, in one dispatch for all, and serves
// products along its rows and over them: the gradient packs dy once for dx and dW, where two plain products would pack it twice.
import { u32, type GpuDispatch, type GpuKernel, type GpuPlan } from '../gpu/kernel.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import {
  isAbleOfMixed,
  pack,
  packedOf,
  productKernel,
  scalesOf,
  strideOf,
  TILE,
} from '../grouped-linear/mixed.ts';
import type { InnerLast } from '../grouped-linear/mixed-wgsl.ts';
import { biasWgsl, putWgsl } from '../grouped-linear/products.ts';
import { depthOf, ENOUGH_WORKGROUPS, kernelOf, LEAST_DEPTH } from '../mat-mul/gpu.ts';
import { columnsOf, rowsOf } from '../mat-mul/mixed.ts';

export interface Sizes {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** Of a product of rows × inner and inner × columns. */
interface Product {
  readonly a: 'x' | 'dy';
  readonly b: 'weight' | 'x';
  readonly y: string;
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  readonly innerLast: InnerLast;
  /** Of a packed row of each operand, in vectors. */
  readonly strides: readonly [a: number, b: number];
  readonly hasBias?: boolean;
  /** Into which k is cut, each with a y of its own. */
  readonly parts?: number;
}

const tilesOf = (rows: number, columns: number): number =>
  Math.ceil(rows / rowsOf(TILE)) * Math.ceil(columns / columnsOf(TILE));

/** Whether the map is large enough, its tiles fill a device without cutting k, and the device is able. */
export const isForMixed = (sizes: Sizes, device: GPUDevice): boolean =>
  isAbleOfMixed(sizes, device) &&
  tilesOf(sizes.rows, Math.min(sizes.inputs, sizes.outputs)) >= ENOUGH_WORKGROUPS;

export function forward({ rows, inputs, outputs }: Sizes, hasBias: boolean): GpuPlan {
  const packing = pack({ x: [rows, inputs], weight: [outputs, inputs] });
  const product = multiply({
    a: 'x',
    b: 'weight',
    y: 'y',
    rows,
    columns: outputs,
    inner: inputs,
    innerLast: { a: true, b: true },
    strides: [strideOf(inputs), strideOf(inputs)],
    hasBias,
  });
  return {
    outputs: { y: { shape: [rows, outputs] } },
    scratch: packing.scratch,
    dispatches: [...packing.dispatches, product],
  };
}

/** Of a map without a bias. */
export function backward({ rows, inputs, outputs }: Sizes): GpuPlan {
  const packing = pack({ x: [rows, inputs], dy: [rows, outputs], weight: [outputs, inputs] });
  const dx = multiply({
    a: 'dy',
    b: 'weight',
    y: 'dx',
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
  const size = outputs * inputs;
  const dWeight = multiply({
    a: 'dy',
    b: 'x',
    y: parts === 1 ? 'dWeight' : 'parts',
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
      dWeight: { shape: [outputs, inputs] },
      // Nobody looks at it, but an empty one cannot be bound.
      dBias: { shape: [1] },
    },
    scratch: { ...packing.scratch, ...(parts > 1 && { parts: { shape: [parts, size] } }) },
    dispatches: [
      ...packing.dispatches,
      dx,
      dWeight,
      ...(parts > 1 ? [sumRows('parts', 'dWeight', parts, size)] : []),
    ],
  };
}

function multiply({
  a,
  b,
  y,
  rows,
  columns,
  inner,
  innerLast,
  strides,
  hasBias = false,
  parts = 1,
}: Product): GpuDispatch {
  return {
    kernel: kernelOf(linearKernel, { innerLast, hasBias, isVector: columns % 4 === 0 }),
    buffers: [packedOf(a), packedOf(b), scalesOf(a), scalesOf(b), ...(hasBias ? ['bias'] : []), y],
    uniforms: [rows, columns, inner, depthOf(inner, parts, TILE.depth), ...strides].map(u32),
    workgroups: [Math.ceil(columns / columnsOf(TILE)), Math.ceil(rows / rowsOf(TILE)), parts],
    flops: 2 * rows * columns * inner,
  };
}

interface Variant {
  readonly innerLast: InnerLast;
  readonly hasBias: boolean;
  /** The columns of y are a multiple of 4. */
  readonly isVector: boolean;
}

const linearKernel = ({ innerLast, hasBias, isVector }: Variant): GpuKernel =>
  productKernel({
    name: `Linear mixed ${innerLast.b ? 'forward' : innerLast.a ? 'dx' : 'dW'}`,
    innerLast,
    inputs: [
      ['packedA', 'vec4u'],
      ['packedB', 'vec4u'],
      ['scalesA', 'f32'],
      ['scalesB', 'f32'],
      ...(hasBias ? [['bias', 'f32'] as const] : []),
    ],
    fields: ['rows', 'columns', 'inner', 'partInner', 'strideA', 'strideB'],
    isVector,
    parts: [placesWgsl(innerLast), putWgsl(isVector), biasWgsl(hasBias)],
  });

/** Where a workgroup's operands and their scales lie, and where its sums go: for mixedProductWgsl. */
const placesWgsl = ({ a, b }: InnerLast): string => `
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
    put(ownPart * sizes.rows + row, column, withBias(sum, column));
  }
}`;
