// Linear maps of the same rows in f32, weight by weight: the outputs of all in one product, and their gradients in another.
import { sizeOf } from '@mnemix/tensor';
import { u32, type GpuKernel, type GpuPlan } from '../gpu/kernel.ts';
import { kernelOf } from '../gpu/kernel-of.ts';
import sigmoidWgsl from '../gpu/rows/sigmoid.wgsl';
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
  mainWgsl,
  productWgsl,
  readWgsl,
  rowsOf,
  slicesWgsl,
  writesWgsl,
  type Tile,
} from '../mat-mul/float32-wgsl.ts';
import { depthOf, ENOUGH_WORKGROUPS, fittingTile, LEAST_DEPTH } from '../mat-mul/gpu.ts';
import {
  buffersOf,
  chooseAlongWgsl,
  innerOf,
  mapFields,
  mapUniforms,
  numbered,
  outputsOf,
  putOwnWgsl,
  readDyAlongWgsl,
  readDyOverWgsl,
  startOver,
  takeMapWgsl,
  tensorsOf,
  tilesOf,
  writesOfMapsWgsl,
  type Outputs,
} from '../mat-mul/maps-wgsl.ts';
import { sumParts } from './sum-parts.ts';

export interface Maps {
  readonly rows: number;
  readonly inputs: number;
  /** The weights' names, and their rows: the outputs of each map. */
  readonly weights: Readonly<Record<string, number>>;
  /** The outputs of all maps are one tensor, y and dy; otherwise y0, y1, … and dy0, dy1, …. */
  readonly isJoined: boolean;
}

const widthsOf = ({ weights }: Maps): number[] => Object.values(weights);
const outputsOfMaps = (maps: Maps): Outputs => outputsOf(widthsOf(maps), maps.isJoined);

/** Whether the device has enough buffers for the gradient, and so for the outputs. */
export const isForFloat32 = (maps: Maps, { limits }: GPUDevice): boolean => {
  const count = widthsOf(maps).length;
  // Also dPassed, x and dx.
  const tensors = tensorsOf('dy', outputsOfMaps(maps)).length + 2 * count + 3;
  return maps.rows > 0 && tensors <= limits.maxStorageBuffersPerShaderStage;
};

interface Variant {
  readonly tile: Tile;
  /** The inputs are a multiple of 4. */
  readonly isVector: boolean;
  readonly outputs: Outputs;
}

export function forward(maps: Maps, device: GPUDevice): GpuPlan {
  const { rows, inputs, weights, isJoined } = maps;
  const widths = widthsOf(maps);
  const outputs = outputsOfMaps(maps);
  const tilesOfY = (tile: Tile): [number, number] => [
    tilesOf(widths, columnsOf(tile)),
    Math.ceil(rows / rowsOf(tile)),
  ];
  const tile = fittingTile(device, (each) => tilesOfY(each).reduce((x, y) => x * y));
  const width = widths.reduce((a, b) => a + b);
  return {
    outputs: Object.fromEntries(
      tensorsOf('y', outputs).map((name, m) => [
        name,
        { shape: [rows, isJoined ? width : (widths[m] as number)] },
      ]),
    ),
    dispatches: [
      {
        kernel: kernelOf(forwardKernel, { tile, isVector: inputs % 4 === 0, outputs }),
        buffers: ['x', ...Object.keys(weights), ...tensorsOf('y', outputs)],
        uniforms: [u32(rows), u32(inputs), ...mapUniforms(widths, tile)],
        workgroups: tilesOfY(tile),
        flops: 2 * rows * inputs * width,
      },
    ],
  };
}

function forwardKernel({ tile, isVector, outputs }: Variant): GpuKernel {
  const { count } = outputs;
  const weights = numbered('weight', count);
  const bindings: Bindings = {
    inputs: [['x', elementOf(isVector)], ...weights.map((name): Buffer => [name, elementOf(isVector)])],
    outputs: buffersOf('y', outputs),
    fields: ['rows', 'inputs', ...mapFields(count)],
  };
  const stored = { innerLast: true, stride: 'sizes.inputs' };
  const takeOwn = `takeMap(group.x, ${columnsOf(tile)});`;
  const text = [
    bindingsWgsl(bindings),
    slicesWgsl(tile),
    takeMapWgsl(count),
    readWgsl({ ...stored, name: 'readX', tensors: [{ buffer: 'x', isVector }], edgeEnd: 'sizes.rows' }),
    readWgsl({
      ...stored,
      name: 'readWeight',
      tensors: weights.map((buffer) => ({ buffer, isVector })),
      choose: 'let map = ownMap;',
      edgeEnd: 'ownWidth',
    }),
    putOwnWgsl(outputs),
    ...tensorsOf('y', outputs).map(
      (_, i) => `
fn write${i}(row: u32, column: u32, sum: vec4f) {
  if (row < sizes.rows) {
    put${i}(row, column, sum);
  }
}`,
    ),
    mainWgsl(
      tile,
      productWgsl({
        tile,
        begin: `
  let row0 = group.y * ${rowsOf(tile)};
  let column0 = ${takeOwn}
  let startA = 0u;
  let startB = 0u;
  let inner0 = 0u;
  let innerEnd = sizes.inputs;`,
        readA: 'readX',
        readB: 'readWeight',
        innerLast: { a: true, b: true },
        end: `_ = ${takeOwn}\n  ${writesOfMapsWgsl(tile, 'write', outputs.areVectors.length)}`,
      }),
    ),
  ];
  return { name: 'Linear forward', wgsl: text.join('\n'), bindings: accessOf(bindings) };
}

/**
 * Two maps of as many outputs, gate and up, and behind them silu(gate) ⊙ up: `h` (both side by side) and `y`. Half of a tile's columns
 * are gates, the other half what they gate, so that an invocation has both in its registers.
 *
 * @returns `undefined` where there are too few workgroups for a tile that can be halved, or the outputs are not of vectors
 */
export function forwardGated(maps: Maps, device: GPUDevice): GpuPlan | undefined {
  const { rows, inputs, weights } = maps;
  const [width = 0] = widthsOf(maps);
  const tilesOfY = (tile: Tile) =>
    [Math.ceil((2 * width) / columnsOf(tile)), Math.ceil(rows / rowsOf(tile))] as const;
  const tile = fittingTile(device, (each) => tilesOfY(each)[0] * tilesOfY(each)[1]);
  if (tile.vectors % 2 !== 0 || width % 4 !== 0) return undefined;
  return {
    outputs: { y: { shape: [rows, width] }, h: { shape: [rows, 2 * width] } },
    dispatches: [
      {
        kernel: kernelOf(gatedKernel, { tile, isVector: inputs % 4 === 0 }),
        buffers: ['x', ...Object.keys(weights), 'h', 'y'],
        uniforms: [rows, inputs, width].map(u32),
        workgroups: tilesOfY(tile),
        flops: 4 * rows * inputs * width,
      },
    ],
  };
}

function gatedKernel({ tile, isVector }: Pick<Variant, 'tile' | 'isVector'>): GpuKernel {
  const { quads, vectors, laneRows, laneColumns } = tile;
  const element = elementOf(isVector);
  const half = columnsOf(tile) / 2;
  const bindings: Bindings = {
    inputs: [
      ['x', element],
      ['gate', element],
      ['up', element],
    ],
    outputs: [
      ['h', 'vec4f'],
      ['y', 'vec4f'],
    ],
    fields: ['rows', 'inputs', 'width'],
  };
  const stored = { innerLast: true, stride: 'sizes.inputs' };
  const text = [
    bindingsWgsl(bindings),
    'alias Pack = vec4f;',
    sigmoidWgsl,
    slicesWgsl(tile),
    readWgsl({ ...stored, name: 'readX', tensors: [{ buffer: 'x', isVector }], edgeEnd: 'sizes.rows' }),
    readWgsl({
      ...stored,
      name: 'readWeight',
      tensors: ['gate', 'up'].map((buffer) => ({ buffer, isVector })),
      choose: `let map = edge % ${2 * half} / ${half};`,
      edge: `edge / ${2 * half} * ${half} + edge % ${half}`,
      edgeEnd: 'sizes.width',
    }),
    `
fn write(row: u32, column: u32, gate: vec4f, up: vec4f) {
  if (row < sizes.rows && column < sizes.width) {
    let at = row * sizes.width + column;
    h[(2 * row * sizes.width + column) / 4] = gate;
    h[(2 * row * sizes.width + sizes.width + column) / 4] = up;
    y[at / 4] = gate * sigmoid(gate) * up;
  }
}`,
    mainWgsl(
      tile,
      productWgsl({
        tile,
        begin: `
  let row0 = group.y * ${rowsOf(tile)};
  let column0 = group.x * ${columnsOf(tile)};
  let startA = 0u;
  let startB = 0u;
  let inner0 = 0u;
  let innerEnd = sizes.inputs;`,
        readA: 'readX',
        readB: 'readWeight',
        innerLast: { a: true, b: true },
        end: `
  for (var i = 0u; i < ${quads}; i++) {
    for (var j = 0u; j < ${vectors / 2}; j++) {
      let row = row0 + 4 * (i * ${laneRows} + lane.y);
      let column = group.x * ${half} + 4 * (j * ${laneColumns} + lane.x);
      for (var r = 0u; r < 4; r++) {
        let gate = 4 * (i * ${vectors} + j) + r;
        write(row + r, column, sums[gate], sums[gate + ${2 * vectors}]);
      }
    }
  }`,
      }),
    ),
  ];
  return { name: 'Linear gated', wgsl: text.join('\n'), bindings: accessOf(bindings) };
}

/**
 * dx, and the gradients of the weights. Neither needs the other, so that both products are in one dispatch: what the one leaves idle of
 * the device, the other takes.
 *
 * @param gradients of the weights, in their order: their shapes, by name
 * @param isPassed x was passed on, and `dPassed` is to be added to dx
 * @returns `undefined` where each product leaves nothing idle: then they are better apart
 */
export function backward(
  maps: Maps,
  gradients: Readonly<Record<string, readonly number[]>>,
  device: GPUDevice,
  isPassed = false,
): GpuPlan | undefined {
  const { rows, inputs, weights } = maps;
  const widths = widthsOf(maps);
  const outputs = outputsOfMaps(maps);
  const across = (tile: Tile): number => Math.ceil(inputs / columnsOf(tile));
  const tilesOfX = (tile: Tile): number => across(tile) * Math.ceil(rows / rowsOf(tile));
  const tilesOfWeights = (each: Tile): number => across(each) * tilesOf(widths, rowsOf(each));
  const tile = fittingTile(device, (each) => tilesOfX(each) + tilesOfWeights(each));
  const ofPart = tilesOfWeights(tile);
  const isEachEnough = Math.min(ofPart, tilesOfX(tile)) >= ENOUGH_WORKGROUPS;
  if (widths.length === 1 && isEachEnough) return undefined;
  // As many as would fill a device alone: one that has all rows would be at it when all others have ended.
  const parts = Math.max(1, Math.min(Math.ceil(ENOUGH_WORKGROUPS / ofPart), Math.floor(rows / LEAST_DEPTH)));
  const shapes = Object.entries(gradients);
  // Those of weights that came as one are taken apart behind the product.
  const isInParts = parts > 1 || shapes.length !== widths.length;
  const gradientSizes = Object.fromEntries(shapes.map(([name, shape]) => [name, sizeOf(shape)]));
  const sums = isInParts ? sumParts(parts, gradientSizes, device) : undefined;
  return {
    outputs: {
      dx: { shape: [rows, inputs] },
      ...Object.fromEntries(shapes.map(([name, shape]) => [name, { shape }])),
    },
    scratch: sums?.scratch ?? {},
    dispatches: [
      {
        kernel: kernelOf(backwardKernel, { tile, isVector: inputs % 4 === 0, outputs, isInParts, isPassed }),
        buffers: [
          ...tensorsOf('dy', outputs),
          ...Object.keys(weights),
          'x',
          ...(isPassed ? ['dPassed'] : []),
          'dx',
          ...(sums ? [sums.from] : Object.keys(gradients)),
        ],
        uniforms: [
          ...[rows, inputs, across(tile), ofPart, parts].map(u32),
          ...[depthOf(rows, parts, tile.depth), innerOf(widths, tile)].map(u32),
          ...mapUniforms(widths, tile),
        ],
        workgroups: spread(parts * ofPart + tilesOfX(tile)),
        flops: 4 * rows * inputs * widths.reduce((a, b) => a + b),
      },
      ...(sums?.dispatches ?? []),
    ],
  };
}

interface BackwardVariant extends Variant {
  /** The weights' gradients are left in parts, each all of them one below the other. */
  readonly isInParts: boolean;
  readonly isPassed: boolean;
}

function backwardKernel({ tile, isVector, outputs, isInParts, isPassed }: BackwardVariant): GpuKernel {
  const { count } = outputs;
  const element = elementOf(isVector);
  const buffersNamed = (names: readonly string[]): Buffer[] => names.map((name) => [name, element]);
  const weights = numbered('weight', count);
  const gradients = numbered('dWeight', isInParts ? 1 : count);
  const bindings: Bindings = {
    inputs: [
      ...buffersOf('dy', outputs),
      ...buffersNamed([...weights, 'x', ...(isPassed ? ['dPassed'] : [])]),
    ],
    outputs: buffersNamed(['dx', ...gradients]),
    fields: ['rows', 'inputs', 'across', 'ofPart', 'parts', 'partRows', 'inner', ...mapFields(count)],
  };
  const stored = { innerLast: false, stride: 'sizes.inputs', edgeEnd: 'sizes.inputs' };
  const put = { isVector, left: 'sizes.inputs - column' };
  const takeOwn = (index: string): string =>
    `takeMap(${index} % sizes.ofPart / sizes.across, ${rowsOf(tile)});`;
  const placeInGradient = isInParts ? '(ownPart * sizes.outputs + ownFirst + row)' : 'row';
  const text = [
    bindingsWgsl(bindings),
    slicesWgsl(tile),
    takeMapWgsl(count),
    readDyAlongWgsl(outputs, 'sizes.rows'),
    readDyOverWgsl(outputs),
    readWgsl({ ...stored, name: 'readX', tensors: [{ buffer: 'x', isVector }] }),
    readWgsl({
      ...stored,
      name: 'readWeight',
      tensors: weights.map((buffer) => ({ buffer, isVector })),
      choose: chooseAlongWgsl(count),
      k: 'own',
      kEnd: 'width',
    }),
    `
fn writeX(row: u32, column: u32, sum: vec4f) {
  if (row < sizes.rows && column < sizes.inputs) {
    let at = row * sizes.inputs + column;
    let value = sum${isPassed ? ` + ${fourWgsl('dPassed', 'at', isVector)}` : ''};
    ${putWgsl({ ...put, buffer: 'dx', at: 'at' })}
  }
}

/** Which part of the rows a workgroup of the weights' gradients has. */
var<private> ownPart: u32;`,
    ...gradients.map(
      (buffer, i) => `
fn writeWeight${i}(row: u32, column: u32, value: vec4f) {
  if (row < ownWidth && column < sizes.inputs) {
    ${putWgsl({ ...put, buffer, at: `${placeInGradient} * sizes.inputs + column` })}
  }
}`,
    ),
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
  let row0 = ${takeOwn('index')}
  let column0 = index % sizes.across * ${columnsOf(tile)};
  let startA = ${startOver(outputs, '0')};
  let startB = 0u;
  let inner0 = part * sizes.partRows;
  let innerEnd = min(sizes.rows, inner0 + sizes.partRows);`,
    readA: 'readDyOver',
    readB: 'readX',
    innerLast: { a: false, b: false },
    // Made again: registers are short while the sums are made.
    end: `ownPart = (group.y * groups.x + group.x) / sizes.ofPart;
  _ = ${takeOwn('(group.y * groups.x + group.x)')}
  ${writesOfMapsWgsl(tile, 'writeWeight', gradients.length)}`,
  })}
  } else {${productWgsl({
    tile,
    begin: `
  let row0 = (index - ofWeights) / sizes.across * ${rowsOf(tile)};
  let column0 = (index - ofWeights) % sizes.across * ${columnsOf(tile)};
  let startA = 0u;
  let startB = 0u;
  let inner0 = 0u;
  let innerEnd = sizes.inner;`,
    readA: 'readDyAlong',
    readB: 'readWeight',
    innerLast: { a: true, b: false },
    end: writesWgsl(tile, 'writeX'),
  })}
  }`,
    ),
  ];
  return { name: 'Linear backward', wgsl: text.join('\n'), bindings: accessOf(bindings) };
}
