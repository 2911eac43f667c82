// The grouped linear map on WebGPU. Which rows belong to which group only the device knows, so dispatches are for as many tiles as
// there can be: every group's rows in whole tiles, and one more for each group. Nothing is padded, and nothing is read back.
import { gpuKernel, type PlanCall } from '../gpu/bridge.ts';
import type { GpuDispatch, GpuPlan } from '../gpu/kernel.ts';
import { columnsOf, bytesOf, rowsOf, type Tile } from '../mat-mul/float32.ts';
import { depthOf, ENOUGH_WORKGROUPS, kernelOf, TILES } from '../mat-mul/gpu.ts';
import { biasGradient } from './bias-gradient.ts';
import { isAbleOfMixed, mixedBackward, mixedForward, type Part } from './mixed.ts';
import type { BackwardInputs, Inputs } from './portable.ts';
import { rowsKernel, sizesOf, weightGradientKernel } from './products.ts';
import { mapSizes, MOST_ROWS, mostTiles, partRows, type Sizes } from './sizes.ts';
import { sumTiles } from './sum-tiles.ts';

/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 7;

export const forward = gpuKernel<Inputs, object>((call) => forwardPlan(call));
export const backward = gpuKernel<BackwardInputs, object>((call) => backwardPlan(call));

type Call<I extends Inputs> = Pick<PlanCall<I, object>, 'shapes' | 'device' | 'precision'>;

export function forwardPlan({ shapes, device, precision }: Call<Inputs>): GpuPlan | undefined {
  const sizes = mapSizes(shapes);
  const outputs = { y: { shape: [sizes.rows, sizes.outputs] } };
  if (precision === 'mixed' && isAbleOfMixed(sizes, device)) {
    return { outputs, ...mixedForward(sizes, shapes.bias !== undefined) };
  }
  const dispatch = rowsProduct(sizes, device, forwardProduct(sizes, shapes));
  return dispatch && { outputs, dispatches: [dispatch] };
}

const forwardProduct = (
  { inputs, outputs }: Sizes,
  { bias }: { readonly bias: readonly number[] | undefined },
): RowsProduct => ({
  rows: 'x',
  y: 'y',
  inner: inputs,
  columns: outputs,
  innerLast: true,
  hasBias: bias !== undefined,
});

export function backwardPlan({ shapes, device, precision }: Call<BackwardInputs>): GpuPlan | undefined {
  const sizes = mapSizes(shapes);
  const products =
    precision === 'mixed' && isAbleOfMixed(sizes, device)
      ? mixedBackward(sizes)
      : float32Backward(sizes, device);
  if (!products) return undefined;
  const bias = shapes.bias && biasGradient(sizes);
  return {
    outputs: {
      dx: { shape: shapes.x },
      dWeight: { shape: shapes.weight },
      // Without a bias nobody looks at it.
      dBias: { shape: [sizes.groups, sizes.outputs] },
    },
    scratch: { ...products.scratch, ...bias?.scratch },
    dispatches: [...products.dispatches, ...(bias?.dispatches ?? [])],
  };
}

function float32Backward(sizes: Sizes, device: GPUDevice): Part | undefined {
  const { inputs, outputs } = sizes;
  const dx = rowsProduct(sizes, device, {
    rows: 'dy',
    y: 'dx',
    inner: outputs,
    columns: inputs,
    innerLast: false,
    hasBias: false,
  });
  const dWeight = weightGradient(sizes, device);
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

/** `dWeight` by way of `parts`: a product for each tile of rows, added up for each group. */
function weightGradient(sizes: Sizes, device: GPUDevice): Part | undefined {
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
    dispatches: [product, sumTiles({ parts: 'parts', sum: 'dWeight', size, groups, tileRows })],
  };
}

const hasRoom = ({ limits }: GPUDevice, workgroups: readonly number[]): boolean =>
  MOST_BUFFERS <= limits.maxStorageBuffersPerShaderStage &&
  workgroups.every((count) => count <= limits.maxComputeWorkgroupsPerDimension);
