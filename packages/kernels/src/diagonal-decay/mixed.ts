// The scan in chunks on matrix units: states and reads of gpu/scan/mixed.ts, and what a gate for each channel needs besides.
import type { GpuDispatch, GpuPlan } from '../gpu/kernel.ts';
import { begun } from '../gpu/scan/kept.ts';
import {
  isForMixed,
  mixedGateGradient,
  mixedPull,
  mixedReads,
  mixedScores,
  mixedStates,
  mixedStatesScratch,
  mixedVector,
  mixedVectorScratch,
} from '../gpu/scan/mixed.ts';
import { unasked } from '../gpu/scan/stage.ts';
import { chunkTable, scoresOf, tableScratch, type Border, type ScanSizes } from '../gpu/scan/stages.ts';
import type { DiagonalDecayGradientInputs, DiagonalDecayInputs } from './op.ts';
import { FEW_TOKENS } from './stages.ts';

type Shapes<I = DiagonalDecayInputs> = { readonly [Name in keyof I]: readonly number[] };
type Part = Pick<GpuPlan, 'dispatches' | 'scratch'>;

export const isMixed = (
  sizes: ScanSizes,
  { maxLength, scale }: { readonly maxLength: number; readonly scale: number },
  device: GPUDevice,
): boolean => maxLength > FEW_TOKENS && scale !== 0 && !sizes.before && isForMixed(sizes, device);

/** What both directions begin with. */
const begin = (sizes: ScanSizes, { k, initialState }: Shapes, last: string | undefined) => {
  const isVector = sizes.gate === 'vector';
  const writtenKeys = isVector ? 'writtenK' : 'k';
  return {
    /** What reads the states: with a gate for each channel, decayed already. */
    readQueries: isVector ? 'readQ' : 'q',
    writtenKeys,
    scratch: {
      ...tableScratch(sizes),
      ...mixedStatesScratch(sizes, 'states'),
      // What leaves a segment that is walked once more.
      ...(sizes.segments && unasked),
      ...(isVector && mixedVectorScratch(sizes, { rows: k })),
    },
    dispatches: [
      ...(isVector ? [...chunkTable({ ...sizes, gate: 'none' }), mixedVector(sizes)] : chunkTable(sizes)),
      ...mixedStates(sizes, {
        x: writtenKeys,
        y: 'v',
        initial: initialState && 'initialState',
        states: 'states',
        last,
        to: 'end',
        scale: 1,
      }),
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
  const { readQueries, writtenKeys, scratch, dispatches } = begin(sizes, shapes, undefined);
  const isVector = gate === 'vector';
  return {
    scratch: {
      ...scratch,
      ...mixedStatesScratch(sizes, 'dStates'),
      ...unasked,
      ...(isVector && { dScores: scoresOf(sizes) }),
    },
    dispatches: [
      ...begun(sizes, shapes, { all: () => dispatches, ofVectorGate: () => [mixedVector(sizes)] }),
      ...mixedStates(sizes, {
        x: readQueries,
        y: 'dO',
        initial: shapes.dState && 'dState',
        states: 'dStates',
        last: shapes.initialState && 'dInitialState',
        to: 'start',
        scale,
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
      ...(isVector ? [mixedScores(sizes, { x: { dO: 'dScores' }, y: 'v', width: sizes.dv })] : []),
      ...keyGradient(sizes, 'start', scale),
      ...keyGradient(sizes, 'end', scale),
      ...mixedGateGradient(sizes, {
        name: 'DiagonalDecay',
        flow: FLOW,
        of: ['q', 'k', 'dQ', 'dK'],
        initial: shapes.initialState && 'initialState',
      }),
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
  return isVector ? [gradient, mixedPull(sizes, { scores: 'dScores', y: w, z, to, scale })] : [gradient];
}

/** Queries read, and keys write. */
const FLOW = `
fn flowOf(row: u32, at: u32) -> ELEMENT {
  return q[at] * dQ[at] - k[at] * dK[at];
}`;
