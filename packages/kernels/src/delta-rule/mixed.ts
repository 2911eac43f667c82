// The delta rule in chunks on matrix units: the stages of gpu/scan/low-rank/mixed.ts and gpu/scan/mixed.ts.
import type { GpuDispatch, GpuPlan } from '../gpu/kernel.ts';
import { subgroupsHeading } from '../gpu/matrix-units.ts';
import { begun } from '../gpu/scan/kept.ts';
import {
  isForMixedLowRank,
  mixedLowRankStates,
  mixedRecall,
  mixedSolve,
  mixedSolveScratch,
} from '../gpu/scan/low-rank/mixed.ts';
import { FEW_TOKENS } from '../gpu/scan/low-rank/recurrent.ts';
import { transitionScratch } from '../gpu/scan/low-rank/segment-carry.ts';
import {
  gateBindings,
  mixedGateGradient,
  mixedPull,
  mixedReads,
  mixedScores,
  mixedStates,
  mixedStatesScratch,
  mixedVector,
  mixedVectorScratch,
} from '../gpu/scan/mixed.ts';
import passingWgsl from '../gpu/scan/passing.wgsl';
import { read, unasked, written } from '../gpu/scan/stage.ts';
import {
  chunkStage,
  chunkTable,
  scoresOf,
  tableScratch,
  type Border,
  type ScanSizes,
} from '../gpu/scan/stages.ts';
import tokenGatesWgsl from '../gpu/scan/token-gates.wgsl';
import finishGatedWgsl from './finish-gated.wgsl';
import type { DeltaRuleAttrs, DeltaRuleGradientInputs, DeltaRuleInputs } from './op.ts';

/** Storage buffers of finish-gated.wgsl. */
const GATES_AND_FINISH_BUFFERS = 16;

type Shapes<I = DeltaRuleInputs> = { readonly [Name in keyof I]: readonly number[] };
type Part = Pick<GpuPlan, 'dispatches' | 'scratch'>;

export const isMixed = (
  sizes: ScanSizes,
  { erase }: Shapes,
  { maxLength, scale }: DeltaRuleAttrs,
  device: GPUDevice,
): boolean =>
  maxLength > FEW_TOKENS &&
  scale !== 0 &&
  !sizes.before &&
  erase === undefined &&
  isForMixedLowRank(sizes, device);

/** Names of keys by what they do; with a gate for each channel they are decayed ones. */
const keysOf = ({ gate }: ScanSizes) =>
  gate === 'vector'
    ? { q: 'readQ', recalls: 'readK', writes: 'writtenK', scores: 'keyScores' }
    : { q: 'q', recalls: 'k', writes: 'k', scores: undefined };

/** What both directions begin with. */
const begin = (
  sizes: ScanSizes,
  { k }: Shapes,
): { scratch: NonNullable<GpuPlan['scratch']>; dispatches: GpuDispatch[] } => {
  const isVector = sizes.gate === 'vector';
  return {
    scratch: {
      ...tableScratch(sizes),
      ...mixedSolveScratch(sizes),
      ...transitionScratch(sizes),
      ...mixedStatesScratch(sizes, 'states'),
      ...(isVector && mixedVectorScratch(sizes, { rows: k, keysRead: true })),
    },
    dispatches: isVector
      ? [...chunkTable({ ...sizes, gate: 'none' }), mixedVector(sizes, { keysRead: true })]
      : chunkTable(sizes),
  };
};

export const mixedForward = (sizes: ScanSizes, shapes: Shapes, scale: number): Part => {
  const keys = keysOf(sizes);
  const common = { turned: false, beta: shapes.beta && 'beta' };
  const { scratch, dispatches } = begin(sizes, shapes);
  return {
    scratch,
    dispatches: [
      ...dispatches,
      mixedSolve(sizes, { ...common, ...keys, y: 'v' }),
      ...mixedLowRankStates(sizes, {
        initial: shapes.initialState && 'initialState',
        states: 'states',
        last: 'state',
        turned: false,
      }),
      mixedRecall(sizes, { ...common, x: keys.recalls, w: 'v', states: 'states', z: 'corrected' }),
      mixedReads(sizes, {
        x: keys.q,
        states: 'states',
        pairs: { ...(keys.scores ? { scores: 'scores' } : { y: 'k' }), w: 'corrected' },
        z: 'o',
        to: 'start',
        transposed: false,
        stateScale: scale,
        scoreScale: scale,
      }),
    ],
  };
};

/** @param finish what is left to do with the rows, if it is not done with the gates */
export const mixedGradient = (
  sizes: ScanSizes,
  shapes: Shapes<DeltaRuleGradientInputs>,
  { scale, finish, device }: { scale: number; finish: GpuDispatch; device: GPUDevice },
): Part => {
  const { gate } = sizes;
  const isFinishedWithGates =
    gate === 'scalar' && device.limits.maxStorageBuffersPerShaderStage >= GATES_AND_FINISH_BUFFERS;
  const keys = keysOf(sizes);
  const common = { turned: true, beta: shapes.beta && 'beta' };
  const initial = shapes.initialState && 'initialState';
  const { scratch, dispatches } = begin(sizes, shapes);
  return {
    scratch: {
      ...scratch,
      ...mixedStatesScratch(sizes, 'dStates'),
      ...unasked,
      dWritten: { shape: shapes.v },
      dA: { shape: shapes.k },
      ...(gate === 'vector' && { dScores: scoresOf(sizes), dKeyScores: scoresOf(sizes) }),
    },
    dispatches: [
      // The forward pass has made its states in another way, but leaves them alike.
      ...begun(sizes, shapes, {
        all: () => [
          ...dispatches,
          ...mixedStates(sizes, {
            x: keys.writes,
            y: 'corrected',
            initial,
            states: 'states',
            last: undefined,
            to: 'end',
            scale: 1,
          }),
        ],
        ofVectorGate: () => [mixedVector(sizes, { keysRead: true })],
      }),
      // What is written gets this from the reads of its chunk; the rest comes by way of the state, and of T.
      mixedReads(sizes, {
        x: 'k',
        states: undefined,
        pairs: { ...(keys.scores ? { scores: 'scores' } : { y: 'q' }), w: 'dO' },
        z: 'dWritten',
        to: 'end',
        transposed: false,
        scoreScale: scale,
      }),
      mixedSolve(sizes, { ...common, ...keys, y: 'dWritten', reads: { q: keys.q, dO: 'dO', scale } }),
      ...mixedLowRankStates(sizes, {
        initial: shapes.dState && 'dState',
        states: 'dStates',
        last: initial && 'dInitialState',
        turned: true,
      }),
      mixedRecall(sizes, { ...common, x: keys.writes, w: 'dWritten', states: 'dStates', z: 'dV' }),
      ...keyGradients(sizes, common.beta, scale),
      ...(isFinishedWithGates
        ? [finishGated(sizes, { beta: common.beta, initial })]
        : [
            ...mixedGateGradient(sizes, {
              name: `DeltaRule${common.beta ? ' with strengths' : ''}`,
              flow: FLOW.replace('BETA', common.beta ? 'beta[row]' : '1'),
              of: ['q', 'k', 'dQ', 'dA', 'dK'],
              ...(common.beta && { ofRows: { beta: common.beta } }),
              initial,
            }),
            finish,
          ]),
    ],
  };
};

/** A key's gradient: from x by way of the state, and with the scores of x and y from w. */
interface KeyGradient {
  readonly x: string;
  readonly y: string;
  readonly w: string;
  readonly z: string;
  readonly to: Border;
  /** Of the scores. */
  readonly scale: number;
  readonly states?: string;
  readonly dScores: string;
  readonly strict?: boolean;
  readonly strengths?: string | undefined;
  readonly adds?: boolean;
}

/** dQ; dA of keys that recall, times −β; dK, as yet of those that write, from queries and from what is recalled. */
function keyGradients(sizes: ScanSizes, beta: string | undefined, scale: number): GpuDispatch[] {
  const reading = { y: 'corrected', w: 'k', to: 'start', states: 'states' } as const;
  const writing = { x: 'corrected', z: 'dK', to: 'end' } as const;
  const all: readonly KeyGradient[] = [
    { ...reading, x: 'dO', z: 'dQ', scale, dScores: 'dScores' },
    { ...reading, x: 'dV', z: 'dA', scale: 1, dScores: 'dKeyScores', strict: true },
    { ...writing, y: 'dO', w: 'q', scale, dScores: 'dScores', states: 'dStates' },
    // Keys that recall are −β k.
    {
      ...writing,
      y: 'dV',
      w: 'k',
      dScores: 'dKeyScores',
      strict: true,
      adds: true,
      ...(beta === undefined ? { scale: -1 } : { scale: 1, strengths: beta }),
    },
  ];
  const isVector = sizes.gate === 'vector';
  const products = all
    .filter(({ states }) => states || !isVector)
    .map(({ x, y, w, z, to, scale: scoreScale, states, strict, strengths, adds }) =>
      mixedReads(sizes, {
        x,
        states,
        z,
        to,
        // The gradient of the state holds the scale of the queries already.
        stateScale: to === 'start' ? scoreScale : 1,
        scoreScale,
        transposed: true,
        ...(isVector ? { pairs: undefined } : { pairs: { y, w }, strict, strengths, adds }),
      }),
    );
  if (!isVector) return products;
  return [
    ...products,
    mixedScores(sizes, { x: { dO: 'dScores', dV: 'dKeyScores' }, y: 'corrected', width: sizes.dv }),
    ...all.map(({ w, z, to, scale: ofScores, dScores, strict, strengths, adds }) =>
      mixedPull(sizes, { scores: dScores, y: w, z, to, scale: ofScores, strict, strengths, adds }),
    ),
  ];
}

/** See finish-gated.wgsl. */
const finishGated = (
  sizes: ScanSizes,
  { beta, initial }: { readonly beta: string | undefined; readonly initial: string | undefined },
): GpuDispatch =>
  chunkStage(sizes, {
    name: 'DeltaRule finish gated',
    heading: subgroupsHeading,
    parts: [passingWgsl, tokenGatesWgsl, finishGatedWgsl],
    bindings: {
      ...gateBindings(initial),
      q: read('q', 'vec4f'),
      dQ: read('dQ', 'vec4f'),
      k: read('k', 'vec4f'),
      dA: read('dA', 'vec4f'),
      dK: written('dK', 'vec4f'),
      v: read('v', 'vec4f'),
      dV: written('dV', 'vec4f'),
      beta: read(beta ?? 'k'),
      dBeta: written(beta ? 'dBeta' : 'unasked'),
    },
    told: { extra: Number(initial !== undefined) + 2 * Number(beta !== undefined) },
    workgroups: [1, sizes.heads, sizes.chunks],
  });

/** Queries read, keys read as −β k, and write. */
const FLOW = `
fn flowOf(row: u32, at: u32) -> ELEMENT {
  return q[at] * dQ[at] - k[at] * (BETA * dA[at] + dK[at]);
}`;
