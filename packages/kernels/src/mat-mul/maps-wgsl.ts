// Products in f32 for several maps of the same rows. The maps lie one behind the other along an axis of the product: the columns of
// y = x·Wᵀ, k of dx = dy·W, the rows of dW = dyᵀ·x. A tile, or a slice along k, is of one map alone: so a map is chosen only where a
// block is read and where sums are written, not where they are made.
import { u32, type Uniform } from '../gpu/kernel.ts';
import { elementOf, putWgsl, type Buffer } from './bindings.ts';
import { readWgsl, writesWgsl, type Tile } from './float32-wgsl.ts';

/** How many tiles of `size` the maps have together. */
export const tilesOf = (widths: readonly number[], size: number): number =>
  widths.reduce((sum, width) => sum + Math.ceil(width / size), 0);

/** How long k is where each map begins with a new slice. */
export const innerOf = (widths: readonly number[], { depth }: Tile): number => depth * tilesOf(widths, depth);

/** The outputs of maps: each map's in a tensor of its own, or all side by side in one. */
export interface Outputs {
  readonly isJoined: boolean;
  /** Whether the rows of each tensor are of vectors. */
  readonly areVectors: readonly boolean[];
  /** The maps. */
  readonly count: number;
}

export const outputsOf = (widths: readonly number[], isJoined: boolean): Outputs => {
  const areVectors = widths.map((width) => width % 4 === 0);
  return {
    isJoined,
    areVectors: isJoined ? [!areVectors.includes(false)] : areVectors,
    count: widths.length,
  };
};

/** The tensors that `name`, such as y or dy, consists of. */
export const tensorsOf = (name: string, { isJoined, count }: Outputs): string[] =>
  isJoined ? [name] : numbered(name, count);

export const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, m) => `${name}${m}`);

export const buffersOf = (name: string, outputs: Outputs): Buffer[] =>
  tensorsOf(name, outputs).map((tensor, i) => [tensor, elementOf(outputs.areVectors[i] as boolean)]);

/** Fields of `sizes`, see {@link mapUniforms}. */
export const mapFields = (count: number): string[] => [
  'outputs',
  ...['width', 'start', 'inner'].flatMap((name) => numbered(name, count)),
];

/** The outputs of all maps; those of each, those of the maps before it, and where it begins along k. */
export const mapUniforms = (widths: readonly number[], tile: Tile): Uniform[] => {
  const before = widths.map((_, m) => widths.slice(0, m));
  const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
  return [sum(widths), ...widths, ...before.map(sum), ...before.map((others) => innerOf(others, tile))].map(
    u32,
  );
};

const each = (count: number, line: (m: number) => string): string =>
  numbered('', count)
    .map((_, m) => line(m))
    .join('\n');

/** `takeMap`, which sets the workgroup's own map. */
export const takeMapWgsl = (count: number): string => `
var<private> ownMap: u32;
/** Its outputs, and those of the maps before it. */
var<private> ownWidth: u32;
var<private> ownFirst: u32;

/** Takes the tile of this number, each map being cut into tiles of \`size\`; returns where in its map it begins. */
fn takeMap(tile: u32, size: u32) -> u32 {
  var own = tile;
${each(
  count,
  (m) => `  ownMap = ${m};
  ownWidth = sizes.width${m};
  ownFirst = sizes.start${m};
  let tiles${m} = (ownWidth + size - 1) / size;
  if (own < tiles${m}) {
    return own * size;
  }
  own -= tiles${m};`,
)}
  return ownWidth;
}`;

/** Statements that define `map`, which k is in, its `width`, the outputs before it, `before`, and `own`, where in it k is. */
export const chooseAlongWgsl = (count: number): string => `
  var map = 0u;
  var width = sizes.width0;
  var before = 0u;
  var own = inner;
${each(
  count - 1,
  (m) => `  if (inner >= sizes.inner${m + 1}) {
    map = ${m + 1};
    width = sizes.width${m + 1};
    before = sizes.start${m + 1};
    own = inner - sizes.inner${m + 1};
  }`,
)}`;

const stretchesOf = (outputs: Outputs) =>
  tensorsOf('dy', outputs).map((buffer, i) => ({ buffer, isVector: outputs.areVectors[i] as boolean }));

/**
 * `readDyAlong`, with k along the outputs of all maps, of rows from row `start` on.
 *
 * @param rows how many there are, an expression
 */
export const readDyAlongWgsl = (outputs: Outputs, rows: string): string =>
  readWgsl({
    name: 'readDyAlong',
    tensors: stretchesOf(outputs),
    innerLast: true,
    choose: chooseAlongWgsl(outputs.count),
    edgeEnd: rows,
    ...(outputs.isJoined
      ? {
          first: 'start * sizes.outputs',
          stride: 'sizes.outputs',
          k: 'before + own',
          kEnd: 'before + width',
        }
      : { first: 'start * width', stride: 'width', k: 'own', kEnd: 'width' }),
  });

/** `readDyOver`, over the rows for the outputs of the own map, see {@link startOver}. */
export const readDyOverWgsl = (outputs: Outputs): string => {
  const width = outputs.isJoined ? 'sizes.outputs' : 'ownWidth';
  return readWgsl({
    name: 'readDyOver',
    tensors: stretchesOf(outputs),
    innerLast: false,
    choose: 'let map = ownMap;',
    stride: width,
    edgeEnd: width,
  });
};

/** Where the own map's columns of a row of dy begin, for `readDyOver`. */
export const startOver = ({ isJoined }: Outputs, row: string): string =>
  isJoined ? `${row} * sizes.outputs + ownFirst` : `${row} * ownWidth`;

/** Statements that take the sums to `write0(row, column, sum)`, `write1`, …: that of the own map, or the only one. */
export const writesOfMapsWgsl = (tile: Tile, write: string, count: number): string =>
  count === 1
    ? writesWgsl(tile, `${write}0`)
    : each(count, (m) => `if (ownMap == ${m}) {${writesWgsl(tile, `${write}${m}`)}\n  }`);

/** `put0(row, column, value)`, `put1`, …: up to four neighbouring outputs of the own map to each tensor of y. */
export const putOwnWgsl = (outputs: Outputs): string =>
  tensorsOf('y', outputs)
    .map(
      (buffer, i) => `
fn put${i}(row: u32, column: u32, value: vec4f) {
  if (column < ownWidth) {
    ${putWgsl({
      buffer,
      isVector: outputs.areVectors[i] as boolean,
      at: outputs.isJoined ? 'row * sizes.outputs + ownFirst + column' : 'row * ownWidth + column',
      left: 'ownWidth - column',
    })}
  }
}`,
    )
    .join('\n');
