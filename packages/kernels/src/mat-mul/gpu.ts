// Which form of the product a product gets, and its dispatches.
import type { PlanCall } from '../gpu/bridge.ts';
import type { GpuDispatch, GpuPlan } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import { epilogueBuffers, type Activation, type Epilogue } from './epilogue.ts';
import { float32Kernel } from './float32.ts';
import { bytesOf, columnsOf, rowsOf, type Tile } from './float32-wgsl.ts';
import * as mixed from './mixed.ts';
import { productOf, uniformsOf, type Product } from './sizes.ts';

export type Inputs = {
  readonly a: readonly number[];
  readonly b: readonly number[];
  readonly bias?: readonly number[];
  readonly slopes?: readonly number[];
};

export interface Attrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly activation?: Activation | null;
  readonly leakyreluAlpha?: number;
}

/** From large to small: large ones read less, small ones leave no part of the device idle. */
const TILES: readonly Tile[] = [
  { quads: 2, vectors: 2, laneRows: 16, laneColumns: 16, depth: 8 },
  { quads: 1, vectors: 1, laneRows: 16, laneColumns: 16, depth: 16 },
  { quads: 1, vectors: 1, laneRows: 8, laneColumns: 8, depth: 16 },
];
const MIXED_TILE: mixed.MixedTile = {
  fragmentRows: 4,
  fragmentColumns: 4,
  subgroupRows: 4,
  subgroupColumns: 2,
  depth: 32,
};
/** What a large device runs at once. */
export const ENOUGH_WORKGROUPS = 128;
/** k is cut no finer. */
export const LEAST_DEPTH = 256;
/** Multiplications below which packing costs more than the matrix units save. */
export const FEW_PRODUCTS = 2 ** 31;

/** The plan of a product; `undefined` where a bias is of another form than the kernels take. */
export function plan({
  shapes,
  attrs,
  device,
  precision,
}: Pick<PlanCall<never, Attrs>, 'attrs' | 'device' | 'precision'> & { readonly shapes: Inputs }):
  | GpuPlan
  | undefined {
  const product = productOf(shapes.a, shapes.b, attrs);
  const epilogue: Epilogue = { hasBias: shapes.bias !== undefined, activation: attrs.activation ?? 'linear' };
  for (const values of [shapes.bias, shapes.slopes]) {
    if (values && !isOfColumns(values, product.columns)) return undefined;
  }
  const call = { product, epilogue, alpha: attrs.leakyreluAlpha ?? 0, device };
  const { rows, inner, columns, batches } = product;
  const isLarge = Math.min(rows, inner, columns) >= 64 && batches * rows * inner * columns >= FEW_PRODUCTS;
  const { maxComputeWorkgroupStorageSize, maxComputeWorkgroupsPerDimension } = device.limits;
  // Packing has the matrices of both operands in one dimension.
  const isAble =
    mixed.bytesOf(MIXED_TILE) <= maxComputeWorkgroupStorageSize &&
    product.a.count + product.b.count <= maxComputeWorkgroupsPerDimension;
  return precision === 'mixed' && isLarge && isAble ? mixedPlan(call) : float32Plan(call);
}

/** One value for each column of y, or one for all. */
const isOfColumns = (shape: readonly number[], columns: number): boolean => {
  const last = shape.at(-1) ?? 1;
  return shape.slice(0, -1).every((size) => size === 1) && (last === 1 || last === columns);
};

interface Call {
  readonly product: Product;
  readonly epilogue: Epilogue;
  readonly alpha: number;
  readonly device: GPUDevice;
}

/** The largest tile that leaves no part of a device idle, or the smallest. */
export function fittingTile({ limits }: GPUDevice, workgroups: (tile: Tile) => number): Tile {
  const fitting = TILES.filter((tile) => bytesOf(tile) <= limits.maxComputeWorkgroupStorageSize);
  return fitting.find((tile) => workgroups(tile) >= ENOUGH_WORKGROUPS) ?? (fitting.at(-1) as Tile);
}

function float32Plan({ product, epilogue, alpha, device }: Call): GpuPlan {
  const { rows, columns, inner, batches, a, b } = product;
  const workgroups = (tile: Tile): number =>
    batches * Math.ceil(rows / rowsOf(tile)) * Math.ceil(columns / columnsOf(tile));
  const tile = fittingTile(device, workgroups);
  const splits = splitsOf(workgroups(tile), inner, epilogue);
  const given = {
    inner,
    splitDepth: depthOf(inner, splits, tile.depth),
    sizeA: rows * inner,
    sizeB: inner * columns,
    alpha,
  };
  const kernel = kernelOf(float32Kernel, {
    tile,
    epilogue,
    a: { innerLast: a.innerLast, isVector: a.isVector },
    b: { innerLast: b.innerLast, isVector: b.isVector },
    isVector: columns % 4 === 0,
  });
  const [across, down] = [Math.ceil(columns / columnsOf(tile)), Math.ceil(rows / rowsOf(tile))];
  const matrices = splits * batches;
  const most = device.limits.maxComputeWorkgroupsPerDimension;
  return finish(product, splits, (y) =>
    Array.from({ length: Math.ceil(matrices / most) }, (_, i) => ({
      kernel,
      buffers: ['a', 'b', ...epilogueBuffers(epilogue), y],
      uniforms: uniformsOf(product, { ...given, first: i * most }),
      workgroups: [across, down, Math.min(most, matrices - i * most)],
    })),
  );
}

function mixedPlan({ product, epilogue, alpha }: Call): GpuPlan {
  const { rows, columns, inner, batches } = product;
  const tile = MIXED_TILE;
  const [x, y] = [Math.ceil(columns / mixed.columnsOf(tile)), Math.ceil(rows / mixed.rowsOf(tile))];
  const padded = {
    rows: y * mixed.rowsOf(tile),
    columns: x * mixed.columnsOf(tile),
    inner: tile.depth * Math.ceil(inner / tile.depth),
  };
  const splits = splitsOf(x * y * batches, inner, epilogue);
  const uniforms = uniformsOf(product, {
    inner: padded.inner,
    splitDepth: depthOf(inner, splits, tile.depth),
    sizeA: padded.rows * padded.inner,
    sizeB: padded.columns * padded.inner,
    alpha,
  });
  const made = finish(product, splits, (result) => [
    {
      kernel: kernelOf(mixed.mixedKernel, { tile, epilogue, isVector: columns % 4 === 0 }),
      buffers: ['packedA', 'packedB', 'scales', ...epilogueBuffers(epilogue), result],
      uniforms,
      workgroups: [x, y, splits * batches],
    },
  ]);
  const packing = mixed.packing(product, padded);
  return {
    ...made,
    scratch: { ...made.scratch, ...packing.scratch },
    dispatches: [...packing.dispatches, ...made.dispatches],
  };
}

/** Into how many parts k is cut, so that few tiles keep a device busy. Sums that are not final take no epilogue. */
function splitsOf(workgroups: number, inner: number, { hasBias, activation }: Epilogue): number {
  if (hasBias || activation !== 'linear' || workgroups >= ENOUGH_WORKGROUPS) return 1;
  return Math.max(1, Math.min(Math.ceil(ENOUGH_WORKGROUPS / workgroups), Math.floor(inner / LEAST_DEPTH)));
}

/** The part of k that each takes: a multiple of `step`, so that parts begin where slices do. */
export const depthOf = (inner: number, splits: number, step: number): number =>
  step * Math.ceil(inner / splits / step);

/** The product into y, or, where k is cut, into a y for each part, which are then added up in a fixed order. */
function finish(
  { shape, rows, columns, batches }: Product,
  splits: number,
  multiply: (y: string) => GpuDispatch[],
): GpuPlan {
  const products = multiply(splits === 1 ? 'y' : 'parts');
  const outputs = { y: { shape } };
  if (splits === 1) return { outputs, dispatches: products };
  const size = batches * rows * columns;
  return {
    outputs,
    scratch: { parts: { shape: [splits, size] } },
    dispatches: [...products, sumRows('parts', 'y', splits, size)],
  };
}
