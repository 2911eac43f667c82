// The diagonal-decay scan on WebGPU: a few tokens one after the other, more of them in chunks.
import type { OpInputs } from '@mnemix/tensor';
import { gpuKernel, type PlanCall } from '../gpu/bridge.ts';
import { shortageFor } from '../gpu/fallback.ts';
import { f32, u32, type GpuDispatch, type GpuPlan } from '../gpu/kernel.ts';
import { clearRows } from '../gpu/scan/clear-rows.ts';
import { begun, fromKept, keeping } from '../gpu/scan/kept.ts';
import { segmentsOf } from '../gpu/scan/segments.ts';
import { read, rowsOf, stage, unasked, written } from '../gpu/scan/stage.ts';
import {
  chunkStage,
  chunkTable,
  GATES,
  mostChunks,
  reads,
  scores,
  scoresOf,
  states,
  tableScratch,
  tilesOf,
  type Border,
  type Gate,
  type ScanSizes,
} from '../gpu/scan/stages.ts';
import { sumRows } from '../gpu/sum-rows.ts';
import { keptNames } from '../portable/kept.ts';
import type { ScanAttrs } from '../portable/scan-options.ts';
import bonusGradientWgsl from './bonus-gradient.wgsl';
import gateGradientWgsl from './gate-gradient.wgsl';
import type { DiagonalDecayGradientInputs, DiagonalDecayInputs } from './op.ts';
import { isMixed, mixedForward, mixedGradient } from './mixed.ts';
import recurrentWgsl from './recurrent.wgsl';
import { FEW_TOKENS, pull, readScores, vectorDecay } from './stages.ts';
import vectorGateGradientWgsl from '../gpu/scan/vector-gate-gradient.wgsl';

/** Storage buffers of the stage that has the most. */
const MOST_BUFFERS = 10;
/** Of reads with dots. */
const MOST_WORKGROUP_BYTES = 21_504;

type Shapes = { readonly [Name in keyof DiagonalDecayInputs]: readonly number[] };

/** None where the chunks do not fit the device, or the op is one that no kernel is there for. */
function sizesOf(
  { q, v, logDecay, bonus }: Shapes,
  { rows, count, maxLength, form, segmentChunks }: ScanAttrs,
  device: GPUDevice,
): ScanSizes | string | undefined {
  const [, heads = 0, dk = 0] = q;
  const dv = v[2] as number;
  const gate: Gate = logDecay === undefined ? 'none' : logDecay.length === 3 ? 'vector' : 'scalar';
  const before = bonus !== undefined;
  if (form) return undefined;
  if (before && gate !== 'vector') return 'reading before the update takes a gate for each channel';
  const chunks = mostChunks({ rows, count, maxLength });
  const gates = gate === 'vector' ? 3 * rows * heads * dk : 0;
  const largest = 4 * Math.max(chunks * heads * Math.max(dk * dv, 64 * 64), gates);
  if (largest > device.limits.maxStorageBufferBindingSize)
    return 'what it keeps in between is more than the device holds in one tensor';
  const shortage = shortageFor({ buffers: MOST_BUFFERS, workgroupBytes: MOST_WORKGROUP_BYTES }, device);
  if (shortage !== undefined) return shortage;
  const segments = segmentsOf({ chunks, count, maxLength, heads, dv, segmentChunks });
  return { rows, count, heads, dk, dv, gate, chunks, before, segments };
}

type Call<I extends OpInputs> = PlanCall<I, ScanAttrs>;

export const forwardPlan = ({
  shapes,
  attrs,
  device,
  precision,
}: Call<DiagonalDecayInputs>): GpuPlan | string | undefined => {
  const sizes = sizesOf(shapes, attrs, device);
  if (typeof sizes !== 'object') return sizes;
  const { count, heads, dk, dv } = sizes;
  const outputs = { o: { shape: shapes.v }, state: { shape: [count, heads, dk, dv] } };
  const cleared = clearRows(attrs, { o: heads * dv });
  const planOf = ({ scratch, dispatches }: Omit<GpuPlan, 'outputs'>, ofVectorGate: readonly string[] = []) =>
    keeping(
      { outputs, scratch, dispatches: [...dispatches, ...cleared] },
      { names: keptNames, again: sizes.gate === 'vector' ? ofVectorGate : [], device },
    );
  const { scale } = attrs;
  if (attrs.maxLength <= FEW_TOKENS) return planOf({ dispatches: [recurrent(sizes, shapes, scale)] });
  if (precision === 'mixed' && isMixed(sizes, attrs, device))
    return planOf(mixedForward(sizes, shapes, scale), ['sums', 'scores']);
  return planOf(
    {
      scratch: {
        ...tableScratch(sizes),
        ...decayedScratch(sizes, shapes),
        states: statesOf(sizes),
        scores: scoresOf(sizes),
      },
      dispatches: [
        ...forwardStates(sizes, shapes, 'state'),
        readScores(sizes, shapes),
        reads(sizes, {
          x: readQueries(sizes),
          states: 'states',
          scores: 'scores',
          y: 'v',
          z: 'o',
          to: 'start',
          transposed: false,
          stateScale: scale,
          scoreScale: scale,
        }),
      ],
    },
    ['sums'],
  );
};

export const forwardKernel = gpuKernel<DiagonalDecayInputs, ScanAttrs>(forwardPlan);

export const gradientPlan = ({
  shapes,
  attrs,
  device,
  precision,
}: Call<DiagonalDecayGradientInputs>): GpuPlan | string | undefined => {
  const sizes = sizesOf(shapes, attrs, device);
  if (typeof sizes !== 'object') return sizes;
  const { rows, heads, dk, dv, gate, chunks, before } = sizes;
  const { scale } = attrs;
  const none = { shape: [0] };
  const borders = statesOf(sizes);
  const pairs = scoresOf(sizes);
  const clearedWidths = {
    dQ: heads * dk,
    dK: heads * dk,
    dV: heads * dv,
    ...(gate === 'scalar' && { dLogDecay: heads }),
    ...(gate === 'vector' && { dLogDecay: heads * dk }),
  };
  const outputs = {
    dQ: { shape: shapes.q },
    dK: { shape: shapes.k },
    dV: { shape: shapes.v },
    dLogDecay: shapes.logDecay ? { shape: shapes.logDecay } : none,
    dBonus: shapes.bonus ? { shape: shapes.bonus } : none,
    dInitialState: shapes.initialState ? { shape: shapes.initialState } : none,
  };
  const cleared = clearRows(attrs, clearedWidths);
  if (precision === 'mixed' && isMixed(sizes, attrs, device)) {
    const { dispatches, scratch } = mixedGradient(sizes, shapes, scale);
    return fromKept({ outputs, scratch, dispatches: [...dispatches, ...cleared] }, shapes);
  }
  const plan = {
    outputs,
    scratch: {
      ...tableScratch(sizes),
      ...decayedScratch(sizes, shapes),
      states: borders,
      dStates: borders,
      ...unasked,
      scores: pairs,
      dScores: pairs,
      ...(gate === 'scalar' && { dots: { shape: [2, tilesOf(dk), rows, heads] } }),
      ...(gate === 'vector' && { gates: { shape: [3, rows, heads, dk] } }),
      ...(before && { partialDBonus: { shape: [chunks, heads * dk] } }),
    },
    dispatches: [
      ...begun(sizes, shapes, {
        all: () => [...forwardStates(sizes, shapes, undefined), readScores(sizes, shapes)],
        ofVectorGate: () => [vectorDecay(sizes)],
      }),
      ...states(sizes, {
        x: readQueries(sizes),
        y: 'dO',
        initial: shapes.dState && 'dState',
        states: 'dStates',
        last: shapes.initialState && 'dInitialState',
        to: 'start',
        scale,
      }),
      scores(sizes, { x: 'dO', y: 'v', width: dv, scores: 'dScores' }),
      reads(sizes, {
        x: writtenKeys(sizes),
        states: 'dStates',
        scores: 'scores',
        y: 'dO',
        z: 'dV',
        to: 'end',
        transposed: false,
        stateScale: 1,
        scoreScale: scale,
      }),
      ...keyGradients(sizes, scale),
      ...gateGradients(sizes, scale),
      ...cleared,
    ],
  };
  return fromKept(plan, shapes);
};

export const gradientKernel = gpuKernel<DiagonalDecayGradientInputs, ScanAttrs>(gradientPlan);

const statesOf = ({ chunks, heads, dk, dv }: ScanSizes) => ({ shape: [chunks, heads, dk, dv] });

/** The chunks, and in `states` the state that enters each. */
const forwardStates = (
  sizes: ScanSizes,
  { initialState }: Shapes,
  last: string | undefined,
): GpuDispatch[] => [
  ...(sizes.gate === 'vector'
    ? [...chunkTable({ ...sizes, gate: 'none' }), vectorDecay(sizes)]
    : chunkTable(sizes)),
  ...states(sizes, {
    x: writtenKeys(sizes),
    y: 'v',
    initial: initialState && 'initialState',
    states: 'states',
    last,
    to: 'end',
    scale: 1,
  }),
];

/** What reads and writes the states: with a gate for each channel, decayed already. */
const readQueries = ({ gate }: ScanSizes): string => (gate === 'vector' ? 'readQ' : 'q');
const writtenKeys = ({ gate }: ScanSizes): string => (gate === 'vector' ? 'writtenK' : 'k');
const decayedScratch = ({ gate }: ScanSizes, { q, k }: Shapes): GpuPlan['scratch'] =>
  gate === 'vector' ? { readQ: { shape: q }, writtenK: { shape: k } } : {};

/** dQ and dK: by way of the states, then of the scores. */
function keyGradients(sizes: ScanSizes, scale: number): GpuDispatch[] {
  const gradient = (to: Border): GpuDispatch[] => {
    const [x, states, y, z, weight] =
      to === 'start'
        ? (['dO', 'states', 'k', 'dQ', 'q'] as const)
        : (['v', 'dStates', 'q', 'dK', 'k'] as const);
    const plane = to === 'start' ? 0 : 1;
    const byState = reads(sizes, {
      x,
      states,
      scores: 'dScores',
      y,
      z,
      to,
      transposed: true,
      // The gradient of the state holds the scale already.
      stateScale: to === 'start' ? scale : 1,
      scoreScale: scale,
      dots: sizes.gate === 'scalar' ? { weight, dots: 'dots', plane } : undefined,
    });
    return sizes.gate === 'vector' ? [byState, pull(sizes, { y, z, weight, to, scale })] : [byState];
  };
  return [...gradient('start'), ...gradient('end')];
}

/** dLogDecay and dBonus, where there are a gate and a bonus. */
function gateGradients(sizes: ScanSizes, scale: number): GpuDispatch[] {
  const { heads, dk, gate, chunks, before } = sizes;
  if (gate === 'none') return [];
  if (gate === 'scalar') {
    return [
      chunkStage(sizes, {
        name: 'DiagonalDecay gate gradient',
        parts: [gateGradientWgsl],
        bindings: {
          scores: read('scores'),
          dScores: read('dScores'),
          states: rowsOf('states', 'valueWidth'),
          dStates: rowsOf('dStates', 'valueWidth'),
          dots: read('dots'),
          dLogDecay: written('dLogDecay'),
        },
        told: { scoreScale: scale },
        workgroups: [1, heads, chunks],
      }),
    ];
  }
  const ofGate = chunkStage(sizes, {
    name: 'DiagonalDecay vector gate gradient',
    parts: [vectorGateGradientWgsl],
    bindings: {
      gates: read('gates'),
      states: rowsOf('states', 'valueWidth'),
      dStates: rowsOf('dStates', 'valueWidth'),
      dLogDecay: written('dLogDecay'),
    },
    workgroups: [tilesOf(dk), heads, chunks],
  });
  if (!before) return [ofGate];
  const ofBonus = chunkStage(sizes, {
    name: 'DiagonalDecay bonus gradient',
    parts: [bonusGradientWgsl],
    bindings: {
      q: read('q'),
      k: read('k'),
      dScores: read('dScores'),
      parts: written('partialDBonus'),
    },
    told: { scoreScale: scale },
    workgroups: [tilesOf(dk), heads, chunks],
  });
  return [ofGate, ofBonus, sumRows('partialDBonus', 'dBonus', chunks, heads * dk)];
}

const recurrent = (
  { heads, dk, dv, gate, count }: ScanSizes,
  { logDecay, bonus, initialState }: Shapes,
  scale: number,
): GpuDispatch =>
  stage({
    name: 'DiagonalDecay recurrent',
    parts: [recurrentWgsl],
    bindings: {
      q: read('q'),
      k: read('k'),
      v: read('v'),
      logDecay: read(logDecay ? 'logDecay' : 'q'),
      bonus: read(bonus ? 'bonus' : 'q'),
      initialState: read(initialState ? 'initialState' : 'q'),
      starts: read('starts', 'i32'),
      lengths: read('lengths', 'i32'),
      o: written('o'),
      state: written('state'),
    },
    uniforms: [
      u32(heads),
      u32(dk),
      u32(dv),
      u32(GATES[gate]),
      u32(Number(initialState !== undefined)),
      u32(Number(bonus !== undefined)),
      f32(scale),
    ],
    constants: {},
    workgroups: [tilesOf(dv), heads, count],
    aligned: false,
  });
