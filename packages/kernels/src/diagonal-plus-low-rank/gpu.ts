// The scan with a diagonal plus low-rank transition on WebGPU: a few tokens one after the other, more of them in chunks.
import { gpuKernel, type PlanCall } from '../gpu/bridge.ts';
import type { GpuPlan } from '../gpu/kernel.ts';
import { clearRows } from '../gpu/scan/clear-rows.ts';
import { begun, fromKept, keeping } from '../gpu/scan/kept.ts';
import { recurrent } from '../gpu/scan/low-rank/recurrent.ts';
import { transitionScratch } from '../gpu/scan/low-rank/segment-carry.ts';
import { lowRankSizes, shapesOf, type LowRankSizes } from '../gpu/scan/low-rank/sizes.ts';
import { gateGradient, keyGradients, keyScores, reads, scoreGradients } from '../gpu/scan/low-rank/stages.ts';
import { backwardStates, forwardStates } from '../gpu/scan/low-rank/states.ts';
import { unasked } from '../gpu/scan/stage.ts';
import { chunkTable, runningSums, tableScratch } from '../gpu/scan/stages.ts';
import { keptNames } from '../portable/kept.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import type { DiagonalPlusLowRankGradientInputs, DiagonalPlusLowRankInputs } from './op.ts';

type Shapes = { readonly [Name in keyof DiagonalPlusLowRankInputs]: readonly number[] };

const keys = { q: 'q', a: 'a', b: 'b', k: 'k' };

/** None where a form is asked for; where there is no kernel, the reason. */
const sizesOf = (
  { q, v, logDecay }: Shapes,
  attrs: ScanAttrs,
  device: GPUDevice,
): LowRankSizes | string | undefined =>
  attrs.form ? undefined : lowRankSizes({ q, v, logDecay, before: true, hasWrites: true, attrs }, device);

export const forwardPlan = ({
  shapes,
  attrs,
  device,
}: PlanCall<DiagonalPlusLowRankInputs, ScanAttrs>): GpuPlan | string | undefined => {
  const sizes = sizesOf(shapes, attrs, device);
  if (typeof sizes !== 'object') return sizes;
  const { count, heads, dk, dv } = sizes;
  const outputs = {
    o: { shape: shapes.v },
    state: { shape: [count, heads, dk, dv] },
    recalled: { shape: shapes.v },
  };
  const cleared = clearRows(attrs, { o: heads * dv, recalled: heads * dv });
  const initial = shapes.initialState && 'initialState';
  const fewTokens = recurrent(
    sizes,
    {
      recall: 'a',
      write: 'b',
      isDelta: false,
      logDecay: shapes.logDecay && 'logDecay',
      initial,
      corrected: 'recalled',
      attrs,
    },
    device,
  );
  const planOf = ({ scratch, dispatches }: Omit<GpuPlan, 'outputs'>) =>
    keeping(
      { outputs, scratch, dispatches: [...dispatches, ...cleared] },
      { names: keptNames, again: sizes.gate === 'vector' ? ['sums'] : [], device },
    );
  if (fewTokens) return planOf({ dispatches: [fewTokens] });
  const scratch = shapesOf(sizes);
  return planOf({
    scratch: {
      ...tableScratch(sizes),
      ...transitionScratch(sizes),
      y: scratch.values,
      scores: scratch.planes,
      system: scratch.system(false),
      states: scratch.states,
    },
    dispatches: [
      ...chunkTable(sizes),
      ...keyScores(sizes, keys, 'scores'),
      reads(sizes, {
        scores: 'scores',
        role: 'aAtK',
        y: ['v'],
        z: 'y',
        to: 'start',
        transposed: false,
        scale: attrs.scale,
      }),
      ...forwardStates(sizes, {
        keys,
        y: 'y',
        v: 'v',
        isSolved: false,
        scores: 'scores',
        system: 'system',
        initial,
        states: 'states',
        last: 'state',
        corrected: 'recalled',
      }),
      reads(sizes, {
        byState: { x: 'q', states: 'states', scale: attrs.scale },
        scores: 'scores',
        role: 'q',
        y: ['recalled', 'v'],
        z: 'o',
        to: 'start',
        transposed: false,
        scale: attrs.scale,
      }),
    ],
  });
};

export const forwardKernel = gpuKernel<DiagonalPlusLowRankInputs, ScanAttrs>(forwardPlan);

export const gradientPlan = ({
  shapes,
  attrs,
  device,
}: PlanCall<DiagonalPlusLowRankGradientInputs, ScanAttrs>): GpuPlan | string | undefined => {
  const sizes = sizesOf(shapes, attrs, device);
  if (typeof sizes !== 'object') return sizes;
  const { heads, dk, dv, gate } = sizes;
  const { scale } = attrs;
  const none = { shape: [0] };
  const scratch = shapesOf(sizes);
  const clearedWidths = {
    dQ: heads * dk,
    dK: heads * dk,
    dV: heads * dv,
    dA: heads * dk,
    dB: heads * dk,
    ...(gate === 'scalar' && { dLogDecay: heads }),
    ...(gate === 'vector' && { dLogDecay: heads * dk }),
  };
  const borders = { states: 'states', dStates: 'dStates' };
  const plan = {
    outputs: {
      dQ: { shape: shapes.q },
      dK: { shape: shapes.k },
      dV: { shape: shapes.v },
      dA: { shape: shapes.a },
      dB: { shape: shapes.b },
      dLogDecay: shapes.logDecay ? { shape: shapes.logDecay } : none,
      dInitialState: shapes.initialState ? { shape: shapes.initialState } : none,
    },
    scratch: {
      ...tableScratch(sizes),
      ...transitionScratch(sizes),
      y: scratch.values,
      scores: scratch.planes,
      system: scratch.system(true),
      states: scratch.states,
      ...unasked,
      dScores: scratch.planes,
      dStates: scratch.states,
      dRecalled: scratch.values,
      ...(gate === 'scalar' && { dots: scratch.dots }),
      ...(gate === 'vector' && { gates: scratch.gates }),
    },
    dispatches: [
      ...begun(sizes, shapes, {
        all: () => [
          ...chunkTable(sizes),
          ...keyScores(sizes, keys, 'scores'),
          ...forwardStates(sizes, {
            keys,
            y: 'recalled',
            v: 'v',
            isSolved: true,
            scores: 'scores',
            system: 'system',
            initial: shapes.initialState && 'initialState',
            states: 'states',
            last: undefined,
            corrected: 'dRecalled',
          }),
        ],
        ofVectorGate: () => [runningSums(sizes)],
      }),
      reads(sizes, {
        scores: 'scores',
        role: 'qAtB',
        y: ['dO'],
        z: 'y',
        to: 'end',
        transposed: false,
        scale,
      }),
      ...backwardStates(sizes, {
        keys,
        y: 'y',
        dO: 'dO',
        scores: 'scores',
        system: 'system',
        dState: shapes.dState && 'dState',
        dStates: 'dStates',
        dInitialState: shapes.initialState && 'dInitialState',
        dRecalled: 'dRecalled',
        scale,
      }),
      ...scoreGradients(sizes, {
        dO: 'dO',
        dRecalled: 'dRecalled',
        corrected: 'recalled',
        v: 'v',
        dScores: 'dScores',
      }),
      reads(sizes, {
        byState: { x: 'k', states: 'dStates', scale: 1 },
        scores: 'scores',
        role: 'k',
        y: ['dO', 'dRecalled'],
        z: 'dV',
        to: 'end',
        transposed: false,
        scale,
      }),
      ...keyGradients(sizes, {
        keys,
        dO: 'dO',
        dRecalled: 'dRecalled',
        corrected: 'recalled',
        v: 'v',
        ...borders,
        dScores: 'dScores',
        gradients: { q: 'dQ', a: 'dA', b: 'dB', k: 'dK' },
        scale,
      }),
      ...gateGradient(sizes, {
        scores: 'scores',
        dScores: 'dScores',
        ...borders,
        dLogDecay: 'dLogDecay',
        scale,
      }),
      ...clearRows(attrs, clearedWidths),
    ],
  };
  return fromKept(plan, shapes);
};

export const gradientKernel = gpuKernel<DiagonalPlusLowRankGradientInputs, ScanAttrs>(gradientPlan);
