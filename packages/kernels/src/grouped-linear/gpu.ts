// The grouped linear map on WebGPU. Which rows belong to which group only the device knows, so dispatches are for as many tiles as
// there can be: every group's rows in whole tiles, and one more for each group. Nothing is padded, and nothing is read back.
import { sizeOf } from '@mnemix/tensor';
import { gpuKernel } from '../gpu/bridge.ts';
import type { GpuDispatch, GpuPlan } from '../gpu/kernel.ts';
import { gradientsOf, partsOf, type MapCall } from '../join-rows/weights.ts';
import { columnsOf, bytesOf, rowsOf, type Tile } from '../mat-mul/float32.ts';
import { depthOf, ENOUGH_WORKGROUPS, kernelOf, TILES } from '../mat-mul/gpu.ts';
import { canPackList, type Part } from '../mat-mul/pack-rows.ts';
import { biasGradient } from './bias-gradient.ts';
import { isAbleOfMixed, mixedBackward, mixedForward } from './mixed.ts';
import type { BackwardInputs, Inputs, ListBackwardInputs, ListInputs } from './portable.ts';
import { rowsKernel, sizesOf, weightGradientKernel } from './products.ts';
import { mapSizes, MOST_ROWS, mostTiles, partRows, type Sizes } from './sizes.ts';
import { sumTiles, sumTilesApart, type Sum } from './sum-tiles.ts';

/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 7;

/** Whether the products pack a list of weights as it is, part0, part1, …. */
export const packsList = ({ shapes, device, precision }: MapCall): boolean =>
  precision === 'mixed' &&
  canPackList(Object.keys(partsOf(shapes)).length, device) &&
  isAbleOfMixed(mapSizes(shapes), device);

export function forwardPlan({ shapes, device, precision }: MapCall): GpuPlan | undefined {
  const sizes = mapSizes(shapes);
  const outputs = { y: { shape: [sizes.rows, sizes.outputs] } };
  if (precision === 'mixed' && isAbleOfMixed(sizes, device)) {
    return { outputs, ...mixedForward(sizes, shapes['bias'] !== undefined) };
  }
  const dispatch = rowsProduct(sizes, device, {
    rows: 'x',
    y: 'y',
    inner: sizes.inputs,
    columns: sizes.outputs,
    innerLast: true,
    hasBias: shapes['bias'] !== undefined,
  });
  return dispatch && { outputs, dispatches: [dispatch] };
}

export function backwardPlan({ shapes, device, precision }: MapCall): GpuPlan | undefined {
  const sizes = mapSizes(shapes);
  const gradients = gradientsOf(shapes);
  const sum = sumsOf(gradients, device);
  const products =
    precision === 'mixed' && isAbleOfMixed(sizes, device)
      ? mixedBackward(sizes, sum)
      : float32Backward(sizes, sum, device);
  if (!products) return undefined;
  const bias = shapes['bias'] && biasGradient(sizes);
  return {
    outputs: {
      dx: { shape: [sizes.rows, sizes.inputs] },
      ...Object.fromEntries(Object.entries(gradients).map(([name, shape]) => [name, { shape }])),
      // Without a bias nobody looks at it.
      dBias: { shape: [sizes.groups, sizes.outputs] },
    },
    scratch: { ...products.scratch, ...bias?.scratch },
    dispatches: [...products.dispatches, ...(bias?.dispatches ?? [])],
  };
}

/** From the sums over each tile of rows to the weights' gradients. */
function sumsOf(gradients: Readonly<Record<string, readonly number[]>>, device: GPUDevice): Sum {
  const [first = '', ...others] = Object.keys(gradients);
  if (others.length === 0) return (tiles) => [sumTiles(first, tiles)];
  const sizes = Object.entries(gradients).map(([name, shape]) => [name, sizeOf(shape)] as const);
  return (tiles) => sumTilesApart(Object.fromEntries(sizes), tiles, device);
}

function float32Backward(sizes: Sizes, sum: Sum, device: GPUDevice): Part | undefined {
  const { inputs, outputs } = sizes;
  const dx = rowsProduct(sizes, device, {
    rows: 'dy',
    y: 'dx',
    inner: outputs,
    columns: inputs,
    innerLast: false,
    hasBias: false,
  });
  const dWeight = weightGradient(sizes, sum, device);
  return dx && dWeight && { scratch: dWeight.scratch, dispatches: [dx, ...dWeight.dispatches] };
}

/** The largest tile that leaves no part of a device idle, or the smallest. */
function fittingTile({ limits }: GPUDevice, workgroups: (tile: Tile) => number): Tile {
  const fitting = TILES.filter((tile) => bytesOf(tile) <= limits.maxComputeWorkgroupStorageSize);
  return fitting.find((tile) => workgroups(tile) >= ENOUGH_WORKGROUPS) ?? (fitting.at(-1) as Tile);
}

interface RowsProduct {
  readonly rows: 'x' | 'dy';
  readonly y: string;
  readonly inner: number;
  readonly columns: number;
  readonly innerLast: boolean;
  readonly hasBias: boolean;
}

function rowsProduct(
  sizes: Sizes,
  device: GPUDevice,
  { rows, y, inner, columns, innerLast, hasBias }: RowsProduct,
): GpuDispatch | undefined {
  const columnTiles = (tile: Tile): number => Math.ceil(columns / columnsOf(tile));
  const tile = fittingTile(device, (each) => columnTiles(each) * mostTiles(sizes, rowsOf(each)));
  const tiles = mostTiles(sizes, rowsOf(tile));
  if (!hasRoom(device, [columnTiles(tile), tiles])) return undefined;
  const variant = {
    tile,
    innerLast,
    hasBias,
    isVector: inner % 4 === 0,
    isVectorY: columns % 4 === 0,
  };
  return {
    kernel: kernelOf(rowsKernel, variant),
    buffers: [rows, 'weight', 'starts', 'lengths', 'rowSequence', ...(hasBias ? ['bias'] : []), y],
    uniforms: sizesOf({
      rows: rowsOf(tile),
      columns,
      inner,
      splitDepth: depthOf(inner, 1, tile.depth),
      batches: tiles,
      groups: sizes.groups,
      total: sizes.rows,
    }),
    workgroups: [columnTiles(tile), 1, tiles],
  };
}

/** The weights' gradient by way of `parts`: a product for each tile of rows, added up for each group. */
function weightGradient(sizes: Sizes, sum: Sum, device: GPUDevice): Part | undefined {
  const { rows, groups, inputs, outputs } = sizes;
  const across = (tile: Tile): [number, number] => [
    Math.ceil(inputs / columnsOf(tile)),
    Math.ceil(outputs / rowsOf(tile)),
  ];
  const tile = fittingTile(device, (each) => {
    const [x, y] = across(each);
    return x * y * Math.ceil(rows / MOST_ROWS);
  });
  const [x, y] = across(tile);
  const tileRows = partRows(sizes, x * y, ENOUGH_WORKGROUPS, tile.depth);
  const tiles = mostTiles(sizes, tileRows);
  const size = outputs * inputs;
  const isBindable = 4 * size * tiles <= device.limits.maxStorageBufferBindingSize;
  if (!isBindable || !hasRoom(device, [x, y, tiles, groups])) return undefined;
  const product: GpuDispatch = {
    kernel: kernelOf(weightGradientKernel, {
      tile,
      isVectorOutputs: outputs % 4 === 0,
      isVectorInputs: inputs % 4 === 0,
    }),
    buffers: ['dy', 'x', 'starts', 'lengths', 'parts'],
    uniforms: sizesOf({
      rows: outputs,
      columns: inputs,
      inner: tileRows,
      splitDepth: tileRows,
      batches: tiles,
      groups,
      total: rows,
    }),
    workgroups: [x, y, tiles],
  };
  return {
    scratch: { parts: { shape: [tiles, size] } },
    dispatches: [product, ...sum({ parts: 'parts', size, groups, tileRows })],
  };
}

const hasRoom = ({ limits }: GPUDevice, workgroups: readonly number[]): boolean =>
  MOST_BUFFERS <= limits.maxStorageBuffersPerShaderStage &&
  workgroups.every((count) => count <= limits.maxComputeWorkgroupsPerDimension);

export const forward = gpuKernel<Inputs, object>(forwardPlan);
export const backward = gpuKernel<BackwardInputs, object>(backwardPlan);
export const forwardOfList = gpuKernel<ListInputs, object>(forwardPlan);
export const backwardOfList = gpuKernel<ListBackwardInputs, object>(backwardPlan);
