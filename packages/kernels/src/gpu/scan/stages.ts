// The stages that scans in chunks are made of: dispatches between named tensors.
import { u32, type GpuDispatch } from '../kernel.ts';
import { CHUNK, chunkStage, GATES, type Border, type ChunkStage, type ScanSizes } from './chunk-stage.ts';
import chunkTableWgsl from './chunk-table.wgsl';
import { productText, type Tile } from './product.ts';
import readsProductWgsl from './reads-product.wgsl';
import readsWgsl from './reads.wgsl';
import runningSumsWgsl from './running-sums.wgsl';
import scoresWgsl from './scores.wgsl';
import { channelsOf, passOn, segmentScratch, segmentTable, walked, walkFlags } from './segments.ts';
import { read, rowsOf, stage, written, writtenRowsOf } from './stage.ts';
import stateDotsWgsl from './state-dots.wgsl';
import statesWgsl from './states.wgsl';
import tableReadWgsl from './table-read.wgsl';

export { chunkStage, GATES, type Border, type Gate, type ScanSizes } from './chunk-stage.ts';

/**
 * Rows cut into chunks are at most ⌊rows / C⌋ full ones, and one more for each sequence. No fewer than there are sequences, since
 * chunk-table.wgsl has a workgroup for each of either.
 */
export const mostChunks = ({
  rows,
  count,
  maxLength,
}: {
  rows: number;
  count: number;
  maxLength: number;
}): number => Math.min(Math.floor(rows / CHUNK) + count, count * Math.max(1, Math.ceil(maxLength / CHUNK)));

export const tilesOf = (width: number): number => Math.ceil(width / CHUNK);

/** Tensors between dispatches that all stages share. */
export const tableScratch = (sizes: ScanSizes) => {
  const { chunks, count, rows, gate } = sizes;
  return {
    chunks: { shape: [chunks, 4], dtype: 'int32' },
    sequenceChunks: { shape: [count, 2], dtype: 'int32' },
    ...(gate !== 'none' && { sums: { shape: [rows, channelsOf(sizes), 2] } }),
    ...segmentScratch(sizes),
  } as const;
};

/** Of a state. */
const SQUARE: Tile = { columns: 64, invocations: 128, depth: 32 };
/** Of the pairs of a chunk's tokens: 8 × 8 sums, a quarter of which nobody needs. */
export const PAIRS: Tile = { columns: 64, invocations: 64, depth: 16 };

/** Of 64 tokens by columns of `width`, wider where that leaves no more of it empty. */
export const rowsTile = (width: number): Tile =>
  tilesOf(width) % 2 === 0 ? { columns: 128, invocations: 128, depth: 16 } : SQUARE;

/** A stage made of products: its text follows product.wgsl. */
export const productStage = (
  sizes: ScanSizes,
  { name, parts, ...stage }: ChunkStage,
  tile: Tile = SQUARE,
): GpuDispatch =>
  chunkStage(sizes, {
    ...stage,
    name: `${name} ${tile.columns}`,
    parts: [() => productText(tile), ...parts],
  });

/** Of running-sums.wgsl. */
const gateSums = { logDecay: read('logDecay'), sums: written('sums', 'vec2f') };

/**
 * `chunks` and `sequenceChunks` from `starts` and `lengths`, segments, and `sums` from `logDecay`: in the table's dispatch where one
 * workgroup has all gates of a chunk, so that a chunk is looked for once.
 */
export function chunkTable(sizes: ScanSizes): GpuDispatch[] {
  const { chunks, count, gate } = sizes;
  const channels = channelsOf(sizes);
  const isGated = gate !== 'none';
  const isSummed = isGated && channels <= CHUNK;
  const none = 'fn sumGates(chunk: vec4u, channel: u32) {}';
  const table = stage({
    name: `ChunkTable${isSummed ? ' and RunningSums' : ''}`,
    parts: [chunkTableWgsl, isSummed ? runningSumsWgsl : none],
    bindings: {
      starts: read('starts', 'i32'),
      lengths: read('lengths', 'i32'),
      chunks: written('chunks', 'vec4u'),
      sequenceChunks: written('sequenceChunks', 'vec2u'),
      ...(isSummed && gateSums),
    },
    uniforms: [u32(channels), u32(count)],
    constants: {},
    workgroups: [chunks],
    aligned: false,
  });
  return [table, ...segmentTable(sizes), ...(isGated && !isSummed ? [runningSums(sizes)] : [])];
}

/** `sums` from `logDecay`, where there is a table. */
export const runningSums = (sizes: ScanSizes): GpuDispatch =>
  stage({
    name: 'RunningSums',
    parts: [tableReadWgsl, runningSumsWgsl],
    bindings: { chunks: read('chunks', 'vec4u'), ...gateSums },
    uniforms: [u32(channelsOf(sizes))],
    constants: {},
    workgroups: [tilesOf(channelsOf(sizes)), sizes.chunks],
    aligned: false,
  });

interface States {
  readonly x: string;
  readonly y: string;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initial: string | undefined;
  /** [chunks, H, dk, dv]. */
  readonly states: string;
  /** [S, H, dk, dv]: what comes out behind the last chunk on the way; left out where nobody asks for it. */
  readonly last: string | undefined;
  /** Which border of the chunk the writes are decayed to; also the way that the state takes, from first to last or back. */
  readonly to: Border;
  readonly scale: number;
}

/** See states.wgsl, and segments.ts where sequences are cut. */
export const states = (sizes: ScanSizes, { x, y, to, scale, ...given }: States): GpuDispatch[] => {
  const fromLast = to === 'start';
  const { walks, count, initial, last } = walked(sizes, given);
  const walk = productStage(sizes, {
    name: 'ScanStates',
    parts: [statesWgsl],
    bindings: {
      sequenceChunks: read(walks, 'vec2u'),
      x: rowsOf(x, 'keyWidth'),
      y: rowsOf(y, 'valueWidth'),
      initial: rowsOf(initial ?? x, 'valueWidth'),
      states: writtenRowsOf(given.states, 'valueWidth'),
      last: writtenRowsOf(last ?? 'unasked', 'valueWidth'),
    },
    told: { to, stateScale: scale, extra: walkFlags({ initial, last, fromLast }) },
    workgroups: [tilesOf(sizes.dk) * tilesOf(sizes.dv), sizes.heads, count],
  });
  return [walk, ...passOn(sizes, { ...given, fromLast })];
};

/** Of all pairs of a chunk's tokens. */
export const scoresOf = ({ chunks, heads }: ScanSizes) => ({ shape: [chunks, heads, 64, 64] });

/** scores [chunks, H, C, C]: x_i · y_j. */
export const scores = (
  sizes: ScanSizes,
  { x, y, width, scores }: { x: string; y: string; width: number; scores: string },
): GpuDispatch =>
  productStage(
    sizes,
    {
      name: 'ScanScores',
      parts: [scoresWgsl],
      bindings: {
        x: rowsOf(x, 'extra'),
        y: rowsOf(y, 'extra'),
        scores: written(scores, 'vec4f'),
      },
      // Nothing is decayed, so there is one pipeline for all gates.
      constants: { gate: GATES.none },
      told: { extra: width },
      workgroups: [1, sizes.heads, sizes.chunks],
    },
    PAIRS,
  );

interface Reads {
  readonly x: string;
  readonly states: string;
  readonly scores: string;
  readonly y: string;
  readonly z: string;
  readonly to: Border;
  /** z is as wide as the keys. */
  readonly transposed: boolean;
  readonly stateScale: number;
  readonly scoreScale: number;
  /** dots [2, ⌈dk / C⌉, rows, H], `plane` of the two: weight · z, of what z has from the state. */
  readonly dots?: { readonly weight: string; readonly dots: string; readonly plane: 0 | 1 } | undefined;
}

/** See reads.wgsl. */
export const reads = (
  sizes: ScanSizes,
  { x, states, scores, y, z, to, transposed, stateScale, scoreScale, dots }: Reads,
): GpuDispatch => {
  const [inner, outer] = transposed ? ['valueWidth', 'keyWidth'] : ['keyWidth', 'valueWidth'];
  const none = 'fn afterState(chunk: Chunk, head: u32, columnTile: u32, local: u32) {}';
  const width = transposed ? sizes.dk : sizes.dv;
  const tile = rowsTile(width);
  const name = `ScanReads of ${tile.columns} ${transposed ? 'keys' : 'values'}${dots ? ' with dots' : ''}`;
  return productStage(
    sizes,
    {
      name,
      parts: [readsProductWgsl, readsWgsl, dots ? stateDotsWgsl : none],
      bindings: {
        x: rowsOf(x, inner as string),
        states: rowsOf(states, 'valueWidth'),
        scores: read(scores, 'vec4f'),
        y: rowsOf(y, outer as string),
        ...(dots && { weight: rowsOf(dots.weight, 'keyWidth'), dots: written(dots.dots) }),
        z: writtenRowsOf(z, outer as string),
      },
      constants: { transposed: Number(transposed) },
      told: { to, stateScale, scoreScale, extra: (dots?.plane ?? 0) * tilesOf(sizes.dk) },
      workgroups: [Math.ceil(width / tile.columns), sizes.heads, sizes.chunks],
    },
    tile,
  );
};
