// The states at the chunks' borders, and the triangular systems in front of them.
import type { GpuDispatch } from '../../kernel.ts';
import { passOn, walked } from '../segments.ts';
import { read, rowsOf, written, writtenRowsOf, type Stage } from '../stage.ts';
import { chunkStage, tilesOf } from '../stages.ts';
import borderWgsl from './border.wgsl';
import metScoresWgsl from './met-scores.wgsl';
import planesWgsl from './planes.wgsl';
import { carryByTransitions } from './segment-carry.ts';
import settlingWgsl from './settling.wgsl';
import { systemWidth, type LowRankKeys, type LowRankSizes } from './sizes.ts';
import solveWgsl from './solve.wgsl';
import statesEntryWgsl from './states-entry.wgsl';
import statesTransitionWgsl from './states-transition.wgsl';
import statesWgsl from './states.wgsl';
import statesWalkWgsl from './states-walk.wgsl';

/** Columns of the state that a workgroup of states.wgsl has. */
const STATE_COLUMNS = 32;

interface Solve {
  readonly scores: string;
  /** Keys and values of the right side. */
  readonly x: string;
  readonly y: string;
  /** Keys that write, and others that do, if there are any. */
  readonly writes: string;
  readonly others: string | undefined;
  readonly system: string;
  /** For the gradient. */
  readonly turned: boolean;
  /** y are the values of the solution. */
  readonly isSolved: boolean;
  readonly scale: number;
}

/** See solve.wgsl. */
const solve = (
  sizes: LowRankSizes,
  { scores, x, y, writes, others, system, turned, isSolved, scale }: Solve,
): GpuDispatch =>
  chunkStage(sizes, {
    name: 'LowRank solve',
    parts: [borderWgsl, planesWgsl, metScoresWgsl, solveWgsl],
    bindings: {
      scores: read(scores, 'vec4f'),
      x: rowsOf(x, 'keyWidth'),
      y: rowsOf(y, 'valueWidth'),
      writes: rowsOf(writes, 'keyWidth'),
      others: rowsOf(others ?? writes, 'keyWidth'),
      system: written(system, 'vec4f'),
    },
    constants: { turned: Number(turned), isSolved: Number(isSolved) },
    told: { stateScale: scale, extra: systemWidth(sizes, turned) },
    workgroups: [1, sizes.heads, sizes.chunks],
  });

interface States {
  readonly system: string;
  /** Values of the other writes. */
  readonly y: string | undefined;
  /** [S, H, dk, dv]; zeros if left out. */
  readonly initial: string | undefined;
  /** [chunks, H, dk, dv]. */
  readonly states: string;
  /** [S, H, dk, dv]: what comes out behind the last chunk on the way; left out where nobody asks for it. */
  readonly last: string | undefined;
  /** [rows, H, dv]; left alone where it is known. */
  readonly z: string;
  readonly turned: boolean;
  readonly isSolved: boolean;
}

/** See states.wgsl; where sequences are cut, ../segments.ts. */
function states(sizes: LowRankSizes, { system, y, z, ...passed }: States): GpuDispatch[] {
  const { turned, isSolved, states: borders } = passed;
  const { walks, count, initial, last } = walked(sizes, passed);
  const walk = chunkStage(sizes, {
    name: 'LowRank states',
    parts: [borderWgsl, statesWgsl, statesWalkWgsl],
    bindings: {
      sequenceChunks: read(walks, 'vec2u'),
      system: read(system, 'vec4f'),
      y: rowsOf(y ?? system, 'valueWidth'),
      initial: rowsOf(initial ?? system, 'valueWidth'),
      states: writtenRowsOf(borders, 'valueWidth'),
      last: writtenRowsOf(last ?? 'unasked', 'valueWidth'),
      z: writtenRowsOf(z, 'valueWidth'),
    },
    constants: { keyParts: tilesOf(sizes.dk), isSolved: Number(isSolved) },
    told: {
      to: turned ? 'start' : 'end',
      stateScale: Number(initial !== undefined),
      scoreScale: Number(last !== undefined),
      extra: systemWidth(sizes, turned),
    },
    workgroups: [Math.ceil(sizes.dv / STATE_COLUMNS), sizes.heads, count],
  });
  // Where what is written is known, nothing but the gates acts on a state.
  const passing = isSolved
    ? passOn(sizes, { ...passed, fromLast: turned })
    : passOnByTransitions(sizes, { ...passed, system, z });
  return [walk, ...passing];
}

/** As `passOn` of ../segments.ts, with a transition diagonal plus low rank. */
function passOnByTransitions(
  sizes: LowRankSizes,
  { system, initial, states, last, z, turned }: Omit<States, 'y' | 'isSolved'>,
): GpuDispatch[] {
  const { segments, dk, dv, heads } = sizes;
  if (!segments) return [];
  const walk = (name: string, text: string, width: number, bindings: Stage['bindings']): GpuDispatch =>
    chunkStage(sizes, {
      name: `LowRank ${name}`,
      parts: [borderWgsl, statesWgsl, settlingWgsl, text],
      bindings: {
        sequenceChunks: read('segmentChunks', 'vec2u'),
        system: read(system, 'vec4f'),
        ...bindings,
      },
      constants: { keyParts: tilesOf(dk), isSolved: 0 },
      told: { to: turned ? 'start' : 'end', extra: systemWidth(sizes, turned) },
      workgroups: [Math.ceil(width / STATE_COLUMNS), heads, segments.most],
    });
  return [
    walk('transitions', statesTransitionWgsl, dk, {
      transitions: writtenRowsOf('segmentTransitions', 'keyWidth'),
      areThere: written('areThere', 'u32'),
    }),
    carryByTransitions(sizes, { initial, last, fromLast: turned }),
    walk('entries', statesEntryWgsl, dv, {
      entries: rowsOf('entries', 'valueWidth'),
      states: writtenRowsOf(states, 'valueWidth'),
      z: writtenRowsOf(z, 'valueWidth'),
    }),
  ];
}

export interface ForwardStates {
  readonly keys: LowRankKeys;
  /** What v̂ has besides what is recalled, or v̂ itself where it is known. */
  readonly y: string;
  /** Values written at k. */
  readonly v?: string;
  readonly isSolved: boolean;
  readonly scores: string;
  readonly system: string;
  readonly initial: string | undefined;
  readonly states: string;
  readonly last: string | undefined;
  readonly corrected: string;
}

/** The states that enter the chunks, the last ones, and v̂ unless it is known. */
export const forwardStates = (
  sizes: LowRankSizes,
  { keys, y, v, isSolved, scores, system, initial, states: borders, last, corrected }: ForwardStates,
): GpuDispatch[] => {
  const { a, b, k } = keys;
  const common = { system, turned: false, isSolved };
  return [
    solve(sizes, { ...common, scores, x: a, y, writes: b, others: k, scale: 1 }),
    ...states(sizes, { ...common, y: v, initial, states: borders, last, z: corrected }),
  ];
};

interface Backward {
  readonly keys: LowRankKeys;
  /** Gradient of v̂ by way of the reads in its chunk. */
  readonly y: string;
  readonly dO: string;
  readonly scores: string;
  readonly system: string;
  readonly dState: string | undefined;
  readonly dStates: string;
  readonly dInitialState: string | undefined;
  readonly dRecalled: string;
  readonly scale: number;
}

/** The gradients of the states that leave the chunks and of the initial ones, and of the right sides of the triangular systems. */
export const backwardStates = (
  sizes: LowRankSizes,
  { keys: { q, a, b }, y, dO, scores, system, dState, dStates, dInitialState, dRecalled, scale }: Backward,
): GpuDispatch[] => {
  const common = { system, turned: true, isSolved: false };
  return [
    solve(sizes, { ...common, scores, x: b, y, writes: a, others: q, scale }),
    ...states(sizes, {
      ...common,
      y: dO,
      initial: dState,
      states: dStates,
      last: dInitialState,
      z: dRecalled,
    }),
  ];
};
