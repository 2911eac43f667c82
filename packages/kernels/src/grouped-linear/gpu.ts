// The grouped linear map on WebGPU. Which rows belong to which group only the device knows, so dispatches are for as many tiles as
// there can be: every group's rows in whole tiles, and one more for each group. Nothing is padded, and nothing is read back.
import { gpuKernel } from '../gpu/bridge.ts';
import { u32, type GpuDispatch } from '../gpu/kernel.ts';
import { MAX_GROUPS, packed, packGroups, packOf } from '../gpu/rows/index.ts';
import { columnsOf, bytesOf, rowsOf, type Tile } from '../mat-mul/float32.ts';
import { depthOf, ENOUGH_WORKGROUPS, kernelOf, TILES } from '../mat-mul/gpu.ts';
import biasGradientWgsl from './bias-gradient.wgsl';
import type { BackwardInputs, Inputs } from './portable.ts';
import { rowsKernel, sizesOf, weightGradientKernel } from './products.ts';
import sumTilesWgsl from './sum-tiles.wgsl';

const sumTilesText = packed(sumTilesWgsl);

/** Rows of a tile of the weights' gradient. More tiles fill a device better, and cost a partial sum each. */
const LEAST_ROWS = 128;
const MOST_ROWS = 2048;
/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 7;

interface Sizes {
  readonly rows: number;
  readonly groups: number;
  readonly inputs: number;
  readonly outputs: number;
}

const mapSizes = ({ x, weight }: { readonly [Name in 'x' | 'weight']: readonly number[] }): Sizes => {
  const [groups = 0, outputs = 0, inputs = 0] = weight;
  return { rows: x[0] as number, groups, inputs, outputs };
};

export const forward = gpuKernel<Inputs, object>(({ shapes, device }) => {
  const sizes = mapSizes(shapes);
  const { rows, outputs } = sizes;
  const dispatch = rowsProduct(sizes, device, forwardProduct(sizes, shapes));
  return dispatch && { outputs: { y: { shape: [rows, outputs] } }, dispatches: [dispatch] };
});

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

export const backward = gpuKernel<BackwardInputs, object>(({ shapes, device }) => {
  const sizes = mapSizes(shapes);
  const { groups, inputs, outputs } = sizes;
  const dx = rowsProduct(sizes, device, {
    rows: 'dy',
    y: 'dx',
    inner: outputs,
    columns: inputs,
    innerLast: false,
    hasBias: false,
  });
  const dWeight = weightGradient(sizes, device);
  if (!dx || !dWeight) return undefined;
  const dBias: GpuDispatch = {
    kernel: {
      name: 'GroupedLinear db',
      wgsl: biasGradientWgsl,
      bindings: ['read', 'read', 'read', 'write'],
    },
    buffers: ['dy', 'starts', 'lengths', 'dBias'],
    uniforms: [u32(outputs)],
    workgroups: [Math.ceil(outputs / 16), groups],
  };
  return {
    outputs: {
      dx: { shape: shapes.x },
      dWeight: { shape: shapes.weight },
      // Without a bias nobody looks at it.
      dBias: { shape: [groups, outputs] },
    },
    scratch: { parts: { shape: [dWeight.tiles, outputs * inputs] } },
    dispatches: [dx, ...dWeight.dispatches, ...(shapes.bias ? [dBias] : [])],
  };
});

/** Tiles of so many rows that groups can have at most. */
const mostTiles = ({ rows, groups }: Sizes, tileRows: number): number => Math.floor(rows / tileRows) + groups;

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
function weightGradient(
  sizes: Sizes,
  device: GPUDevice,
): { tiles: number; dispatches: GpuDispatch[] } | undefined {
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
  const wanted = (rows * x * y) / (2 * ENOUGH_WORKGROUPS);
  const tileRows = depthOf(Math.min(MOST_ROWS, Math.max(LEAST_ROWS, wanted)), 1, tile.depth);
  const tiles = mostTiles(sizes, tileRows);
  const size = outputs * inputs;
  const isBindable = 4 * size * tiles <= device.limits.maxStorageBufferBindingSize;
  if (!isBindable || !hasRoom(device, [x, y, tiles, groups])) return undefined;
  const pack = packOf(size);
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
  const sum: GpuDispatch = {
    kernel: {
      name: 'GroupedLinear sum',
      wgsl: sumTilesText[pack],
      bindings: ['read', 'read', 'write'],
    },
    buffers: ['parts', 'lengths', 'dWeight'],
    uniforms: [u32(size), u32(tileRows)],
    workgroups: [Math.min(packGroups(size / pack), Math.ceil(MAX_GROUPS / groups)), groups],
  };
  return { tiles, dispatches: [product, sum] };
}

const hasRoom = ({ limits }: GPUDevice, workgroups: readonly number[]): boolean =>
  MOST_BUFFERS <= limits.maxStorageBuffersPerShaderStage &&
  workgroups.every((count) => count <= limits.maxComputeWorkgroupsPerDimension);
