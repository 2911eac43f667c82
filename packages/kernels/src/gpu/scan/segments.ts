// Long sequences of states that pass from chunk to chunk are cut into segments of chunks, which are walked side by side:
//
// 1. from an empty state, which leaves the states at the chunks' borders as they are without what enters the segment, and R, what
//    comes out behind it;
// 2. from segment to segment what enters passes on, E ← T E + R, with T the segment's transition: few steps, one after the other;
// 3. into the states at the borders, what has come of E there is added. Where that no longer changes any, the segment is done:
//    a walk in one piece would go on from the very same values.
//
// All of it holds backwards in time as well. Here are the segments, and steps 2 and 3 where the transition is diagonal.
import { u32, type GpuDispatch } from '../kernel.ts';
import segmentCarryWgsl from './segment-carry.wgsl';
import segmentDecayWgsl from './segment-decay.wgsl';
import segmentEntryWgsl from './segment-entry.wgsl';
import segmentTableWgsl from './segment-table.wgsl';
import { read, written } from './stage.ts';
import { CHUNK, chunkStage, type ScanSizes, type Segments } from './chunk-stage.ts';

/** Workgroups that walk side by side, for a large card to be busy; more segments would make more of steps 2 and 3. */
const WALKERS = 700;
/** Columns of a state that a workgroup walks with, more or less. */
const WALKER_COLUMNS = 32;
/** Chunks of a segment at least: steps 2 and 3 should be small beside step 1. */
const FEWEST_CHUNKS = 16;
/** Segments of the longest sequence at least: with fewer a cut is not worth its dispatches. */
const FEWEST_SEGMENTS = 4;

interface Cut {
  readonly chunks: number;
  readonly count: number;
  readonly maxLength: number;
  readonly heads: number;
  readonly dv: number;
  /** Chunks of a segment, where that is asked for. */
  readonly segmentChunks?: number | undefined;
}

/** How sequences are cut; none where they are too short, or so many that they keep a card busy as they are. */
export function segmentsOf({
  chunks,
  count,
  maxLength,
  heads,
  dv,
  segmentChunks,
}: Cut): Segments | undefined {
  const longest = Math.ceil(maxLength / CHUNK);
  const walkers = heads * Math.ceil(dv / WALKER_COLUMNS);
  const length = segmentChunks ?? Math.max(FEWEST_CHUNKS, Math.ceil((chunks * walkers) / WALKERS));
  if (longest < (segmentChunks === undefined ? FEWEST_SEGMENTS * length : length + 1)) return undefined;
  return { length, most: Math.min(Math.floor(chunks / length) + count, count * Math.ceil(longest / length)) };
}

/** Which segments there are, their decays, and at first what comes out behind each, then what enters it. */
export const segmentScratch = ({ segments, count, heads, dk, dv, gate }: ScanSizes) =>
  segments && {
    segmentChunks: { shape: [segments.most, 2], dtype: 'int32' as const },
    sequenceSegments: { shape: [count, 2], dtype: 'int32' as const },
    entries: { shape: [segments.most, heads, dk, dv] },
    ...(gate !== 'none' && { segmentDecays: { shape: [segments.most, channelsOf({ gate, heads, dk })] } }),
  };

/** Gates of a token. */
export const channelsOf = ({ gate, heads, dk }: Pick<ScanSizes, 'gate' | 'heads' | 'dk'>): number =>
  gate === 'vector' ? heads * dk : heads;

/** `segmentChunks` and `sequenceSegments` from `sequenceChunks`. */
export const segmentTable = ({ segments, count }: ScanSizes): GpuDispatch[] =>
  segments
    ? [
        {
          kernel: {
            name: 'SegmentTable',
            wgsl: segmentTableWgsl,
            bindings: ['read', 'write', 'write'],
          },
          buffers: ['sequenceChunks', 'segmentChunks', 'sequenceSegments'],
          uniforms: [u32(count), u32(segments.most), u32(segments.length)],
          workgroups: [Math.ceil(Math.max(segments.most, count) / 64)],
        },
      ]
    : [];

interface Walk {
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initial: string | undefined;
  /** [S, H, dk, dv]: what comes out behind the last chunk on the way; left out where nobody asks for it. */
  readonly last: string | undefined;
}

/** What a walk goes along, and its states at both ends: of sequences, or of segments that nothing enters. */
export const walked = (
  { segments, count }: ScanSizes,
  { initial, last }: Walk,
): Walk & { walks: string; count: number } =>
  segments
    ? { walks: 'segmentChunks', count: segments.most, initial: undefined, last: 'entries' }
    : { walks: 'sequenceChunks', count, initial, last };

/** What a walk is told by way of `extra`. */
export const walkFlags = ({ initial, last, fromLast }: Partial<Walk> & { fromLast: boolean }): number =>
  Number(initial !== undefined) + 2 * Number(fromLast) + 4 * Number(last !== undefined);

export interface Carried extends Walk {
  /** From the last chunk to the first. */
  readonly fromLast: boolean;
}

export interface Passed extends Carried {
  /** [chunks, H, dk, dv]. */
  readonly states: string;
}

/** Steps 2 and 3 where nothing but the gates acts on a state. */
export const passOn = (sizes: ScanSizes, { initial, last, states, fromLast }: Passed): GpuDispatch[] => [
  ...carry(sizes, { initial, last, fromLast }),
  ...enter(sizes, states, fromLast),
];

/** What enters each segment. */
export function carry(sizes: ScanSizes, { initial, last, fromLast }: Carried): GpuDispatch[] {
  const { segments, heads, dk, dv, count, gate } = sizes;
  if (!segments) return [];
  const isGated = gate !== 'none';
  const decays = chunkStage(sizes, {
    name: 'SegmentDecay',
    parts: [segmentDecayWgsl],
    bindings: { segmentChunks: read('segmentChunks', 'vec2u'), decays: written('segmentDecays') },
    workgroups: [Math.ceil(channelsOf(sizes) / 64), segments.most],
  });
  const passed = chunkStage(sizes, {
    name: 'SegmentCarry',
    parts: [segmentCarryWgsl],
    bindings: {
      sequenceSegments: read('sequenceSegments', 'vec2u'),
      decays: read(isGated ? 'segmentDecays' : 'chunks'),
      initial: read(initial ?? 'chunks'),
      entries: written('entries'),
      last: written(last ?? 'unasked'),
    },
    told: { extra: walkFlags({ initial, last, fromLast }) },
    workgroups: [Math.ceil((dk * dv) / 256), heads, count],
  });
  return isGated ? [decays, passed] : [passed];
}

/** Adds to the states at the borders what has come there of what enters the segments. */
const enter = (sizes: ScanSizes, states: string, fromLast: boolean): GpuDispatch[] =>
  sizes.segments
    ? [
        chunkStage(sizes, {
          name: 'SegmentEntry',
          parts: [segmentEntryWgsl],
          bindings: {
            segmentChunks: read('segmentChunks', 'vec2u'),
            entries: read('entries'),
            states: written(states),
          },
          told: { extra: walkFlags({ fromLast }) },
          workgroups: [Math.ceil((sizes.dk * sizes.dv) / 1024), sizes.heads, sizes.segments.most],
        }),
      ]
    : [];
