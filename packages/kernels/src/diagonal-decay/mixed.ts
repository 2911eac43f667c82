// The scan in chunks on matrix units: states and reads of gpu/scan/mixed.ts, and what a gate for each channel needs besides.
import type { GpuDispatch, GpuPlan } from '../gpu/kernel.ts';
import { subgroupsHeading } from '../gpu/matrix-units.ts';
import { mixedHeading } from '../gpu/scan/mixed-operands.ts';
import {
  isForMixed,
  mixedReads,
  mixedStates,
  mixedStatesScratch,
  passingScratch,
} from '../gpu/scan/mixed.ts';
import { read, written } from '../gpu/scan/stage.ts';
import {
  chunkStage,
  chunkTable,
  scores,
  tableScratch,
  tilesOf,
  type Border,
  type ScanSizes,
} from '../gpu/scan/stages.ts';
import channelGateGradientWgsl from './channel-gate-gradient.wgsl';
import type { DiagonalDecayGradientInputs, DiagonalDecayInputs } from './op.ts';
import { mixedVectorScoresBytes, mixedVectorScoresWgsl } from './mixed-vector-scores-wgsl.ts';
import { MIXED_PULL_BYTES, mixedPullWgsl } from './mixed-pull-wgsl.ts';
import { FEW_TOKENS, scoresOf, vectorDecay } from './stages.ts';
import tokenGateGradientWgsl from './token-gate-gradient.wgsl';

type Shapes<I = DiagonalDecayInputs> = { readonly [Name in keyof I]: readonly number[] };
type Part = Pick<GpuPlan, 'dispatches' | 'scratch'>;

export const isMixed = (
  sizes: ScanSizes,
  { maxLength, scale }: { readonly maxLength: number; readonly scale: number },
  device: GPUDevice,
): boolean =>
  maxLength > FEW_TOKENS &&
  scale !== 0 &&
  !sizes.before &&
  isForMixed(sizes, device) &&
  (sizes.gate !== 'vector' ||
    Math.max(MIXED_PULL_BYTES, mixedVectorScoresBytes(sizes.dk)) <=
      device.limits.maxComputeWorkgroupStorageSize);

/** `scores` of q and k, decayed. */
const vectorScores = (sizes: ScanSizes): GpuDispatch =>
  chunkStage(sizes, {
    name: `DiagonalDecay mixed vector scores ${sizes.dk}`,
    heading: mixedHeading,
    parts: [() => mixedVectorScoresWgsl(sizes.dk)],
    bindings: {
      q: read('q', 'vec4f'),
      k: read('k', 'vec4f'),
      logDecay: read('logDecay', 'vec4f'),
      scores: written('scores'),
    },
    workgroups: [1, sizes.heads, sizes.chunks],
  });

/** What both directions begin with. */
const begin = (sizes: ScanSizes, { q, k, initialState }: Shapes, last: string) => {
  const isVector = sizes.gate === 'vector';
  const writtenKeys = isVector ? 'writtenK' : 'k';
  return {
    /** What reads the states: with a gate for each channel, decayed already. */
    readQueries: isVector ? 'readQ' : 'q',
    writtenKeys,
    scratch: {
      ...tableScratch(sizes),
      ...mixedStatesScratch(sizes, 'states'),
      ...(isVector && { readQ: { shape: q }, writtenK: { shape: k }, scores: scoresOf(sizes) }),
    },
    dispatches: [
      ...(isVector ? [...chunkTable({ ...sizes, gate: 'none' }), vectorDecay(sizes)] : chunkTable(sizes)),
      mixedStates(sizes, {
        x: writtenKeys,
        y: 'v',
        initial: initialState && 'initialState',
        states: 'states',
        last,
        to: 'end',
        scale: 1,
      }),
      ...(isVector ? [vectorScores(sizes)] : []),
    ],
  };
};

export const mixedForward = (sizes: ScanSizes, shapes: Shapes, scale: number): Part => {
  const { readQueries, scratch, dispatches } = begin(sizes, shapes, 'state');
  const output = mixedReads(sizes, {
    x: readQueries,
    states: 'states',
    pairs: sizes.gate === 'vector' ? { scores: 'scores', w: 'v' } : { y: 'k', w: 'v' },
    z: 'o',
    to: 'start',
    transposed: false,
    stateScale: scale,
    scoreScale: scale,
  });
  return { scratch, dispatches: [...dispatches, output] };
};

export const mixedGradient = (
  sizes: ScanSizes,
  shapes: Shapes<DiagonalDecayGradientInputs>,
  scale: number,
): Part => {
  const { gate } = sizes;
  const { readQueries, writtenKeys, scratch, dispatches } = begin(sizes, shapes, 'last');
  const isVector = gate === 'vector';
  return {
    scratch: {
      ...scratch,
      ...mixedStatesScratch(sizes, 'dStates'),
      last: { shape: shapes.dState },
      ...(gate !== 'none' && passingScratch(sizes)),
      ...(isVector && { dScores: scoresOf(sizes) }),
    },
    dispatches: [
      ...dispatches,
      mixedStates(sizes, {
        x: readQueries,
        y: 'dO',
        initial: 'dState',
        states: 'dStates',
        last: 'dInitialState',
        to: 'start',
        scale,
        entering: gate === 'none' ? undefined : 'states',
      }),
      mixedReads(sizes, {
        x: writtenKeys,
        states: 'dStates',
        pairs: isVector ? { scores: 'scores', w: 'dO' } : { y: 'q', w: 'dO' },
        z: 'dV',
        to: 'end',
        transposed: false,
        stateScale: 1,
        scoreScale: scale,
      }),
      ...(isVector ? [scores(sizes, { x: 'dO', y: 'v', width: sizes.dv, scores: 'dScores' })] : []),
      ...keyGradient(sizes, 'start', scale),
      ...keyGradient(sizes, 'end', scale),
      ...gateGradient(sizes),
    ],
  };
};

/** dQ or dK. */
function keyGradient(sizes: ScanSizes, to: Border, scale: number): GpuDispatch[] {
  const [x, y, states, w, z] =
    to === 'start'
      ? (['dO', 'v', 'states', 'k', 'dQ'] as const)
      : (['v', 'dO', 'dStates', 'q', 'dK'] as const);
  const isVector = sizes.gate === 'vector';
  const gradient = mixedReads(sizes, {
    x,
    states,
    pairs: isVector ? undefined : { y, w },
    z,
    to,
    transposed: true,
    // The gradient of the state holds the scale already.
    stateScale: to === 'start' ? scale : 1,
    scoreScale: scale,
  });
  return isVector ? [gradient, mixedPull(sizes, w, z, to, scale)] : [gradient];
}

/** What z gets by way of `dScores` from the tokens of the chunk. */
const mixedPull = (sizes: ScanSizes, y: string, z: string, to: Border, scale: number): GpuDispatch =>
  chunkStage(sizes, {
    name: `DiagonalDecay mixed pull to ${to}`,
    heading: mixedHeading,
    parts: [() => mixedPullWgsl(to === 'end')],
    bindings: {
      scores: read('dScores', 'vec4f'),
      y: read(y, 'vec2f'),
      logDecay: read('logDecay', 'vec2f'),
      z: written(z, 'vec2f'),
    },
    told: { to, scoreScale: scale },
    workgroups: [tilesOf(sizes.dk), sizes.heads, sizes.chunks],
  });

function gateGradient(sizes: ScanSizes): GpuDispatch[] {
  if (sizes.gate === 'none') return [];
  const isVector = sizes.gate === 'vector';
  const element = isVector ? 'f32' : 'vec4f';
  return [
    chunkStage(sizes, {
      name: `DiagonalDecay ${isVector ? 'channel' : 'token'} gate gradient`,
      ...(!isVector && { heading: subgroupsHeading }),
      parts: [isVector ? channelGateGradientWgsl : tokenGateGradientWgsl],
      bindings: {
        ...Object.fromEntries(['q', 'k', 'dQ', 'dK', 'passing'].map((name) => [name, read(name, element)])),
        dLogDecay: written('dLogDecay'),
      },
      workgroups: [isVector ? tilesOf(sizes.dk) : 1, sizes.heads, sizes.chunks],
    }),
  ];
}
