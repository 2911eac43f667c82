// The stages of the delta rule on matrix units. See mixed-operands.ts.
import type { GpuDispatch, GpuPlan } from '../../kernel.ts';
import { isForMixed } from '../mixed.ts';
import { mixedHeading, STATE_COLUMNS } from '../mixed-operands.ts';
import { carryByTransitions } from './segment-carry.ts';
import { walked, walkFlags, type Passed } from '../segments.ts';
import { read, written, type Stage } from '../stage.ts';
import { chunkStage, type ScanSizes } from '../stages.ts';
import {
  mixedHomogeneousBytes,
  mixedHomogeneousWgsl,
  type MixedHomogeneous,
} from './mixed-homogeneous-wgsl.ts';
import { INVERSE_HALVES, stepHalves } from './mixed-operands.ts';
import { mixedRecallBytes, mixedRecallWgsl } from './mixed-recall-wgsl.ts';
import { mixedSolveBytes, mixedSolveWgsl } from './mixed-solve-wgsl.ts';
import { mixedStatesBytes, mixedStatesWgsl } from './mixed-states-wgsl.ts';

/** Storage buffers of the stage that has the most, by the gate. */
const MOST_BUFFERS = { none: 11, scalar: 13, vector: 13 };

export const isForMixedLowRank = (sizes: ScanSizes, device: GPUDevice): boolean =>
  isForMixed(sizes, device) &&
  device.limits.maxStorageBuffersPerShaderStage >= MOST_BUFFERS[sizes.gate] &&
  device.limits.maxComputeWorkgroupStorageSize >=
    Math.max(
      mixedSolveBytes(sizes),
      mixedStatesBytes(sizes),
      mixedHomogeneousBytes(sizes),
      mixedRecallBytes(sizes),
    );

/** What `mixedSolve` makes. */
export const mixedSolveScratch = ({ chunks, heads, dk, dv }: ScanSizes): NonNullable<GpuPlan['scratch']> => ({
  inverses: { shape: [chunks, heads, INVERSE_HALVES / 2] },
  transitions: { shape: [chunks, heads, stepHalves({ rows: dk, columns: dk }) / 2] },
  additions: { shape: [chunks, heads, stepHalves({ rows: dk, columns: dv }) / 2] },
});

interface Common {
  /** For the gradient. */
  readonly turned: boolean;
  readonly beta: string | undefined;
}

interface Solve extends Common {
  /** Keys that recall and that write; with a gate for each channel, decayed. */
  readonly recalls: string;
  readonly writes: string;
  /** Of keys with each other: with a gate for each channel, decayed. */
  readonly scores?: string | undefined;
  /** Values, or the gradient of what is written by way of the reads in its chunk. */
  readonly y: string;
  /** For the gradient. */
  readonly reads?: { readonly q: string; readonly dO: string; readonly scale: number };
}

/** See mixed-solve-wgsl.ts. */
export const mixedSolve = (
  sizes: ScanSizes,
  { turned, beta, recalls, writes, scores, y, reads }: Solve,
): GpuDispatch => {
  const { dk, dv } = sizes;
  const given = scores !== undefined;
  return chunkStage(sizes, {
    name: `LowRank mixed solve ${dk} ${dv}${turned ? ' turned' : ''}${given ? ', scores given' : ''}`,
    heading: mixedHeading,
    parts: [() => mixedSolveWgsl({ dk, dv, turned, given })],
    bindings: {
      recalls: read(recalls, 'vec4f'),
      writes: read(writes, 'vec4f'),
      ...(given && { scores: read(scores, 'vec4f') }),
      beta: read(beta ?? recalls),
      y: read(y, 'vec4f'),
      ...(reads && { q: read(reads.q, 'vec4f'), dO: read(reads.dO, 'vec4f') }),
      inverses: written('inverses', 'vec2u'),
      transitions: written('transitions', 'vec2u'),
      additions: written('additions', 'vec2u'),
    },
    told: { stateScale: reads?.scale ?? 1, extra: Number(beta !== undefined) },
    workgroups: [1, sizes.heads, sizes.chunks],
  });
};

interface States {
  readonly initial: string | undefined;
  readonly states: string;
  readonly last: string | undefined;
  readonly turned: boolean;
}

/** See mixed-states-wgsl.ts; where sequences are cut, ../segments.ts. */
export const mixedLowRankStates = (sizes: ScanSizes, { turned, ...given }: States): GpuDispatch[] => {
  const { dk, dv } = sizes;
  const { walks, count, initial, last } = walked(sizes, given);
  const walk = chunkStage(sizes, {
    name: `LowRank mixed states ${dk} ${dv}`,
    heading: mixedHeading,
    parts: [() => mixedStatesWgsl({ dk, dv })],
    bindings: {
      sequenceChunks: read(walks, 'vec2u'),
      transitions: read('transitions', 'f16'),
      transitionWords: read('transitions', 'u32'),
      additions: read('additions', 'u32'),
      initial: read(initial ?? 'additions', 'vec2f'),
      states: written(given.states, 'u32'),
      last: written(last ?? 'unasked', 'vec2f'),
    },
    told: { extra: walkFlags({ initial, last, fromLast: turned }) },
    workgroups: [dv / STATE_COLUMNS, sizes.heads, count],
  });
  return [walk, ...mixedPassOn(sizes, { ...given, fromLast: turned })];
};

/** As `passOnByTransitions` of states.ts. */
function mixedPassOn(sizes: ScanSizes, { states, ...carried }: Passed): GpuDispatch[] {
  const { segments, dk, dv, heads } = sizes;
  if (!segments) return [];
  const homogeneous = (form: MixedHomogeneous, bindings: Stage['bindings']): GpuDispatch =>
    chunkStage(sizes, {
      name: `LowRank mixed ${form.walk} ${dk} ${form.width}`,
      heading: mixedHeading,
      parts: [() => mixedHomogeneousWgsl(form)],
      bindings: {
        segmentChunks: read('segmentChunks', 'vec2u'),
        transitions: read('transitions', 'f16'),
        transitionWords: read('transitions', 'u32'),
        ...bindings,
      },
      told: { extra: walkFlags({ fromLast: carried.fromLast }) },
      workgroups: [form.width / STATE_COLUMNS, heads, segments.most],
    });
  return [
    homogeneous(
      { dk, width: dk, walk: 'transition' },
      {
        segmentTransitions: written('segmentTransitions', 'vec2f'),
        areThere: written('areThere', 'u32'),
      },
    ),
    carryByTransitions(sizes, carried),
    homogeneous(
      { dk, width: dv, walk: 'entry' },
      { entries: read('entries', 'vec2f'), states: written(states, 'u32') },
    ),
  ];
}

interface Recall extends Common {
  /** Keys that recall, or that write; with a gate for each channel, decayed. */
  readonly x: string;
  readonly w: string;
  readonly states: string;
  readonly z: string;
}

/** See mixed-recall-wgsl.ts. */
export const mixedRecall = (sizes: ScanSizes, { turned, beta, x, w, states, z }: Recall): GpuDispatch => {
  const { dk, dv } = sizes;
  return chunkStage(sizes, {
    name: `LowRank mixed recall ${dk} ${dv}${turned ? ' turned' : ''}`,
    heading: mixedHeading,
    parts: [() => mixedRecallWgsl({ dk, dv, turned })],
    bindings: {
      x: read(x, 'vec4f'),
      w: read(w, 'vec4f'),
      beta: read(beta ?? x),
      states: read(states, 'f16'),
      inverses: read('inverses', 'f16'),
      z: written(z, 'vec4f'),
    },
    told: { extra: Number(beta !== undefined) },
    workgroups: [1, sizes.heads, sizes.chunks],
  });
};
