// The stages that scans in chunks are made of: dispatches between named tensors.
import { f32, u32, type GpuDispatch, type Uniform } from '../kernel.ts';
import chunkTableWgsl from './chunk-table.wgsl';
import decayWgsl from './decay.wgsl';
import productWgsl from './product.wgsl';
import readsWgsl from './reads.wgsl';
import runningSumsWgsl from './running-sums.wgsl';
import scoresWgsl from './scores.wgsl';
import { read, rowsOf, stage, written, writtenRowsOf, type Stage } from './stage.ts';
import stateDotsWgsl from './state-dots.wgsl';
import statesWgsl from './states.wgsl';

/** Tokens of a chunk, and rows and columns of a workgroup's tile. */
const CHUNK = 64;

/** As decay.wgsl counts them. */
export const GATES = { none: 0, scalar: 1, vector: 2 } as const;
export type Gate = keyof typeof GATES;

export interface ScanSizes {
  readonly rows: number;
  /** S. */
  readonly count: number;
  readonly heads: number;
  readonly dk: number;
  readonly dv: number;
  readonly gate: Gate;
  /** Chunks that there can be at most. */
  readonly chunks: number;
  /** Queries read before their own gate. */
  readonly before: boolean;
}

/** Rows cut into chunks are at most ⌊rows / C⌋ full ones, and one more for each sequence. */
export const mostChunks = ({
  rows,
  count,
  maxLength,
}: {
  rows: number;
  count: number;
  maxLength: number;
}): number => Math.min(Math.floor(rows / CHUNK) + count, count * Math.ceil(maxLength / CHUNK));

export const tilesOf = (width: number): number => Math.ceil(width / CHUNK);

/** Tensors between dispatches that all stages share. */
export const tableScratch = ({ chunks, count, rows, heads, dk, gate }: ScanSizes) =>
  ({
    chunks: { shape: [chunks, 4], dtype: 'int32' },
    sequenceChunks: { shape: [count, 2], dtype: 'int32' },
    ...(gate !== 'none' && { sums: { shape: [rows, gate === 'scalar' ? heads : heads * dk, 2] } }),
  }) as const;

/** The fields of decay.wgsl's uniforms that are not the sizes. */
interface Told {
  readonly to?: Border;
  readonly stateScale?: number;
  readonly scoreScale?: number;
  readonly extra?: number;
}

/** The uniforms of decay.wgsl. */
const uniformsOf = (
  { heads, dk, dv, rows, before }: ScanSizes,
  { to = 'start', stateScale = 1, scoreScale = 1, extra = 0 }: Told,
): Uniform[] => [
  u32(heads),
  u32(dk),
  u32(dv),
  u32(rows),
  u32(Number(to === 'end')),
  u32(Number(before)),
  f32(stateScale),
  f32(scoreScale),
  u32(extra),
];

type ChunkStage = Pick<Stage, 'name' | 'heading' | 'parts' | 'bindings' | 'workgroups'> &
  Partial<Pick<Stage, 'constants'>> & { readonly told?: Told };

/** A stage on chunks: its text follows decay.wgsl, its bindings those that decay.wgsl needs. */
export const chunkStage = (sizes: ScanSizes, { told = {}, constants, ...parts }: ChunkStage): GpuDispatch =>
  stage({
    ...parts,
    parts: [decayWgsl, ...parts.parts],
    bindings: {
      // Without a gate nothing reads the sums, but something must be bound.
      sums: read(sizes.gate === 'none' ? 'chunks' : 'sums', 'vec2f'),
      chunks: read('chunks', 'Chunk'),
      ...parts.bindings,
    },
    uniforms: uniformsOf(sizes, told),
    constants: { gate: GATES[sizes.gate], ...constants },
    aligned: sizes.dk % 4 === 0 && sizes.dv % 4 === 0,
  });

/** A stage made of products: its text follows product.wgsl. */
export const productStage = (sizes: ScanSizes, { parts, ...stage }: ChunkStage): GpuDispatch =>
  chunkStage(sizes, { ...stage, parts: [productWgsl, ...parts] });

/** `chunks` and `sequenceChunks` from `starts` and `lengths`, and `sums` from `logDecay`. */
export function chunkTable(sizes: ScanSizes): GpuDispatch[] {
  const { chunks, count, gate, heads, dk } = sizes;
  const channels = gate === 'vector' ? heads * dk : heads;
  const table: GpuDispatch = {
    kernel: { name: 'ChunkTable', wgsl: chunkTableWgsl, bindings: ['read', 'read', 'write', 'write'] },
    buffers: ['starts', 'lengths', 'chunks', 'sequenceChunks'],
    uniforms: [u32(count), u32(chunks)],
    workgroups: [Math.ceil(Math.max(chunks, count) / 64)],
  };
  if (gate === 'none') return [table];
  const sums: GpuDispatch = {
    kernel: {
      name: 'RunningSums',
      wgsl: runningSumsWgsl,
      bindings: ['read', 'read', 'write'],
    },
    buffers: ['logDecay', 'chunks', 'sums'],
    uniforms: [u32(channels)],
    workgroups: [Math.ceil(channels / 64), chunks],
  };
  return [table, sums];
}

/** Which border of its chunk a token looks to: reads to the start, writes to the end. */
export type Border = 'start' | 'end';

interface States {
  readonly x: string;
  readonly y: string;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initial: string | undefined;
  /** [chunks, H, dk, dv]. */
  readonly states: string;
  /** [S, H, dk, dv]: what comes out behind the last chunk on the way. */
  readonly last: string;
  /** Which border of the chunk the writes are decayed to; also the way that the state takes, from first to last or back. */
  readonly to: Border;
  readonly scale: number;
}

/** See states.wgsl. */
export const states = (sizes: ScanSizes, { x, y, initial, states, last, to, scale }: States): GpuDispatch =>
  productStage(sizes, {
    name: 'ScanStates',
    parts: [statesWgsl],
    bindings: {
      sequenceChunks: read('sequenceChunks', 'vec2u'),
      x: rowsOf(x, 'keyWidth'),
      y: rowsOf(y, 'valueWidth'),
      initial: rowsOf(initial ?? x, 'valueWidth'),
      states: writtenRowsOf(states, 'valueWidth'),
      last: writtenRowsOf(last, 'valueWidth'),
    },
    told: { to, stateScale: scale, extra: Number(initial !== undefined) + 2 * Number(to === 'start') },
    workgroups: [tilesOf(sizes.dk) * tilesOf(sizes.dv), sizes.heads, sizes.count],
  });

/** Of all pairs of a chunk's tokens. */
export const scoresOf = ({ chunks, heads }: ScanSizes) => ({ shape: [chunks, heads, 64, 64] });

/** scores [chunks, H, C, C]: x_i · y_j. */
export const scores = (
  sizes: ScanSizes,
  { x, y, width, scores }: { x: string; y: string; width: number; scores: string },
): GpuDispatch =>
  productStage(sizes, {
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
  });

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
  const name = `ScanReads ${transposed ? 'of keys' : 'of values'}${dots ? ' with dots' : ''}`;
  const none = 'fn afterState(chunk: Chunk, head: u32, columnTile: u32, local: u32) {}';
  return productStage(sizes, {
    name,
    parts: [readsWgsl, dots ? stateDotsWgsl : none],
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
    workgroups: [tilesOf(transposed ? sizes.dk : sizes.dv), sizes.heads, sizes.chunks],
  });
};
