// The grouped linear map in f32: maps of the same rows in one product, and their gradients in another. The weights are one tensor, in
// which those of a group's maps lie one below the other.
import { u32, type GpuKernel, type GpuPlan } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import { spread } from '../gpu/spread.ts';
import {
  accessOf,
  bindingsWgsl,
  elementOf,
  fourWgsl,
  putWgsl,
  type Bindings,
  type Buffer,
} from '../mat-mul/bindings.ts';
import {
  columnsOf,
  invocationsOf,
  mainWgsl,
  productWgsl,
  readWgsl,
  rowsOf,
  slicesWgsl,
  writesWgsl,
  type Tile,
} from '../mat-mul/float32-wgsl.ts';
import { ENOUGH_WORKGROUPS, fittingTile } from '../mat-mul/gpu.ts';
import {
  buffersOf,
  chooseAlongWgsl,
  innerOf,
  mapFields,
  mapUniforms,
  outputsOf,
  readDyAlongWgsl,
  readDyOverWgsl,
  startOver,
  takeMapWgsl,
  tensorsOf,
  tilesOf,
  type Outputs,
} from '../mat-mul/maps-wgsl.ts';
import type { Part } from '../mat-mul/pack-rows.ts';
import rowsWgsl from './rows.wgsl';
import { MOST_ROWS, mostTiles, partRows, type Sizes } from './sizes.ts';
import type { Sum } from './sum-tiles.ts';
import tilesWgsl from './tiles.wgsl';

/** Storage buffers of the gradient besides dy. */
const OTHER_BUFFERS = 7;

interface Variant {
  readonly tile: Tile;
  /** The inputs are a multiple of 4. */
  readonly isVector: boolean;
  readonly outputs: Outputs;
}

export interface Maps {
  /** The outputs of each map. */
  readonly widths: readonly number[];
  /** The gradients of the outputs of all maps are one tensor, dy; otherwise dy0, dy1, …. */
  readonly isJoined: boolean;
}

/**
 * All outputs are one tensor: written apart, with a tile for each of the narrow maps, it takes 1.3 times as long, more than taking them
 * apart behind it.
 */
export function forward(sizes: Sizes, hasBias: boolean, device: GPUDevice): GpuPlan {
  const { rows, groups, inputs, outputs } = sizes;
  const tilesOfY = (tile: Tile) =>
    [Math.ceil(outputs / columnsOf(tile)), mostTiles(sizes, rowsOf(tile))] as const;
  const tile = fittingTile(device, (each) => tilesOfY(each)[0] * tilesOfY(each)[1]);
  const isVectorY = outputs % 4 === 0;
  return {
    outputs: { y: { shape: [rows, outputs] } },
    dispatches: [
      {
        kernel: kernelOf(forwardKernel, { tile, isVector: inputs % 4 === 0, isVectorY, hasBias }),
        buffers: ['x', 'weight', 'starts', 'lengths', 'rowSequence', ...(hasBias ? ['bias'] : []), 'y'],
        uniforms: [rows, groups, inputs, outputs].map(u32),
        workgroups: tilesOfY(tile),
      },
    ],
  };
}

/** Which rows are whose. */
const GROUPS: readonly Buffer[] = [
  ['starts', 'i32'],
  ['lengths', 'i32'],
  ['rowSequence', 'i32'],
];

interface ForwardVariant {
  readonly tile: Tile;
  /** The inputs, and the outputs, are a multiple of 4. */
  readonly isVector: boolean;
  readonly isVectorY: boolean;
  readonly hasBias: boolean;
}

function forwardKernel({ tile, isVector, isVectorY, hasBias }: ForwardVariant): GpuKernel {
  const element = elementOf(isVector);
  const bindings: Bindings = {
    inputs: [['x', element], ['weight', element], ...GROUPS, ...(hasBias ? [['bias', 'f32'] as const] : [])],
    outputs: [['y', elementOf(isVectorY)]],
    fields: ['total', 'groups', 'inputs', 'outputs'],
  };
  const stored = { innerLast: true, stride: 'sizes.inputs' };
  const y = {
    buffer: 'y',
    isVector: isVectorY,
    at: 'row * sizes.outputs + column',
    left: 'sizes.outputs - column',
  };
  const text = [
    bindingsWgsl(bindings),
    slicesWgsl(tile),
    tilesWgsl,
    `
fn put(row: u32, column: u32, value: vec4f) {
  ${putWgsl(y)}
}

fn write(row: u32, column: u32, sum: vec4f) {
  if (row < ownRows && column < sizes.outputs) {
    let at = ownGroup * sizes.outputs + column;
    put(ownStart + row, column, sum${hasBias ? ` + ${fourWgsl('bias', 'at', false)}` : ''});
  }
}`,
    rowsWgsl,
    readWgsl({ ...stored, name: 'readX', tensors: [{ buffer: 'x', isVector }], edgeEnd: 'ownRows' }),
    readWgsl({
      ...stored,
      name: 'readWeight',
      tensors: [{ buffer: 'weight', isVector }],
      edgeEnd: 'sizes.outputs',
    }),
    mainWgsl(
      tile,
      productWgsl({
        tile,
        begin: `
  let own = takeTile(group.y, ${rowsOf(tile)});
  let row0 = 0u;
  let column0 = group.x * ${columnsOf(tile)};
  clearUnused(${rowsOf(tile)}, column0, min(column0 + ${columnsOf(tile)}, sizes.outputs), local, ${invocationsOf(tile)});
  let startA = own.start * sizes.inputs;
  let startB = own.group * sizes.outputs * sizes.inputs;
  let inner0 = 0u;
  // A tile behind the last has nothing to multiply.
  let innerEnd = select(0, sizes.inputs, own.rows > 0);`,
        readA: 'readX',
        readB: 'readWeight',
        innerLast: { a: true, b: true },
        end: writesWgsl(tile, 'write'),
      }),
    ),
  ];
  return { name: 'GroupedLinear forward', wgsl: text.join('\n'), bindings: accessOf(bindings) };
}

/**
 * dx; and, by way of `parts`, a product for each tile of rows, the weights' gradients. Neither needs the other, so that both products
 * are in one dispatch.
 *
 * @returns `undefined` where a stage does not bind as many tensors as the gradients of the outputs are
 */
export function backward(
  sizes: Sizes,
  { widths, isJoined }: Maps,
  sum: Sum,
  device: GPUDevice,
): Part | undefined {
  const { rows, groups, inputs } = sizes;
  const outputs = outputsOf(widths, isJoined);
  const across = (tile: Tile): number => Math.ceil(inputs / columnsOf(tile));
  const tilesOfX = (tile: Tile): number => across(tile) * mostTiles(sizes, rowsOf(tile));
  const tilesOfWeights = (tile: Tile): number => across(tile) * tilesOf(widths, rowsOf(tile));
  const tile = fittingTile(
    device,
    (each) => tilesOfX(each) + tilesOfWeights(each) * Math.ceil(rows / MOST_ROWS),
  );
  const tileRows = partRows(sizes, tilesOfWeights(tile), ENOUGH_WORKGROUPS, tile.depth);
  const tiles = mostTiles(sizes, tileRows);
  const size = sizes.outputs * inputs;
  const tensors = tensorsOf('dy', outputs);
  if (OTHER_BUFFERS + tensors.length > device.limits.maxStorageBuffersPerShaderStage) return undefined;
  return {
    scratch: { parts: { shape: [tiles, size] } },
    dispatches: [
      {
        kernel: kernelOf(backwardKernel, { tile, isVector: inputs % 4 === 0, outputs }),
        buffers: [...tensors, 'weight', 'x', 'starts', 'lengths', 'rowSequence', 'dx', 'parts'],
        uniforms: [
          ...[rows, groups, inputs, across(tile), tilesOfWeights(tile), tiles, tileRows].map(u32),
          u32(innerOf(widths, tile)),
          ...mapUniforms(widths, tile),
        ],
        workgroups: spread(tiles * tilesOfWeights(tile) + tilesOfX(tile)),
      },
      ...sum({ parts: 'parts', size, groups, tileRows }),
    ],
  };
}

function backwardKernel({ tile, isVector, outputs }: Variant): GpuKernel {
  const { count } = outputs;
  const element = elementOf(isVector);
  const bindings: Bindings = {
    inputs: [...buffersOf('dy', outputs), ['weight', element], ['x', element], ...GROUPS],
    outputs: [
      ['dx', element],
      ['parts', element],
    ],
    fields: [
      'total',
      'groups',
      'inputs',
      'across',
      'ofPart',
      'parts',
      'partRows',
      'inner',
      ...mapFields(count),
    ],
  };
  const stored = { innerLast: false, stride: 'sizes.inputs', edgeEnd: 'sizes.inputs' };
  const inputs = { isVector, left: 'sizes.inputs - column' };
  const text = [
    bindingsWgsl(bindings),
    slicesWgsl(tile),
    takeMapWgsl(count),
    tilesWgsl,
    `
fn put(row: u32, column: u32, value: vec4f) {
  ${putWgsl({ ...inputs, buffer: 'dx', at: 'row * sizes.inputs + column' })}
}

fn writeX(row: u32, column: u32, sum: vec4f) {
  if (row < ownRows && column < sizes.inputs) {
    put(ownStart + row, column, sum);
  }
}

/** Which tile of rows a workgroup of the weights' gradients has. */
var<private> ownPart: u32;

fn writeWeight(row: u32, column: u32, value: vec4f) {
  // Nobody reads the part of a tile behind the last.
  if (row < ownWidth && column < sizes.inputs && ownRows > 0) {
    ${putWgsl({ ...inputs, buffer: 'parts', at: '(ownPart * sizes.outputs + ownFirst + row) * sizes.inputs + column' })}
  }
}`,
    rowsWgsl,
    readDyAlongWgsl(outputs, 'ownRows'),
    readDyOverWgsl(outputs),
    readWgsl({ ...stored, name: 'readX', tensors: [{ buffer: 'x', isVector }] }),
    readWgsl({
      ...stored,
      name: 'readWeight',
      tensors: [{ buffer: 'weight', isVector }],
      choose: chooseAlongWgsl(count),
      k: 'before + own',
      kEnd: 'before + width',
    }),
    mainWgsl(
      tile,
      `
  // Those of the weights have the most to do, so they come first.
  let index = group.y * groups.x + group.x;
  let ofWeights = sizes.ofPart * sizes.parts;
  if (index < ofWeights) {${productWgsl({
    tile,
    begin: `
  let part = index / sizes.ofPart;
  ownPart = part;
  let own = takeTile(part, sizes.partRows);
  let row0 = takeMap(index % sizes.ofPart / sizes.across, ${rowsOf(tile)});
  let column0 = index % sizes.across * ${columnsOf(tile)};
  let startA = ${startOver(outputs, 'own.start')};
  let startB = own.start * sizes.inputs;
  let inner0 = 0u;
  let innerEnd = own.rows;`,
    readA: 'readDyOver',
    readB: 'readX',
    innerLast: { a: false, b: false },
    end: writesWgsl(tile, 'writeWeight'),
  })}
  } else {${productWgsl({
    tile,
    begin: `
  let own = takeTile((index - ofWeights) / sizes.across, ${rowsOf(tile)});
  let row0 = 0u;
  let column0 = (index - ofWeights) % sizes.across * ${columnsOf(tile)};
  clearUnused(${rowsOf(tile)}, column0, min(column0 + ${columnsOf(tile)}, sizes.inputs), local, ${invocationsOf(tile)});
  let startA = own.start;
  let startB = own.group * sizes.outputs * sizes.inputs;
  let inner0 = 0u;
  let innerEnd = select(0, sizes.inner, own.rows > 0);`,
    readA: 'readDyAlong',
    readB: 'readWeight',
    innerLast: { a: true, b: false },
    end: writesWgsl(tile, 'writeX'),
  })}
  }`,
    ),
  ];
  return { name: 'GroupedLinear backward', wgsl: text.join('\n'), bindings: accessOf(bindings) };
}
