// The delta rule on WebGPU, as a scan whose transition is diagonal plus low rank: a few tokens one after the other, more of them
// in chunks.
import { gpuKernel, type PlanCall } from '../gpu/bridge.ts';
import { u32, type GpuDispatch, type GpuPlan } from '../gpu/kernel.ts';
import { clearRows } from '../gpu/scan/clear-rows.ts';
import { begun, fromKept, keeping } from '../gpu/scan/kept.ts';
import { recurrent } from '../gpu/scan/low-rank/recurrent.ts';
import { transitionScratch } from '../gpu/scan/low-rank/segment-carry.ts';
import { lowRankSizes, shapesOf, type LowRankSizes } from '../gpu/scan/low-rank/sizes.ts';
import {
  gateGradient,
  keyGradients,
  keyScores,
  reads,
  scoreGradients,
  type Finish,
} from '../gpu/scan/low-rank/stages.ts';
import { backwardStates, forwardStates, type ForwardStates } from '../gpu/scan/low-rank/states.ts';
import { read, rowsOf, stage, unasked, written, writtenRowsOf } from '../gpu/scan/stage.ts';
import { chunkStage, chunkTable, runningSums, tableScratch } from '../gpu/scan/stages.ts';
import finishAloneWgsl from './finish-alone.wgsl';
import finishWgsl from './finish.wgsl';
import { deltaRuleKept } from './kept.ts';
import { isMixed, mixedForward, mixedGradient } from './mixed.ts';
import type { DeltaRuleAttrs, DeltaRuleGradientInputs, DeltaRuleInputs } from './op.ts';
import prepareWgsl from './prepare.wgsl';

/** Of the stages that go by rows. */
const MOST_WORKGROUPS = 8192;
/** Storage buffers of the stage that makes the gates' gradient and finishes. */
const GATES_AND_FINISH_BUFFERS = 15;

type Shapes = { readonly [Name in keyof DeltaRuleInputs]: readonly number[] };

const keys = { q: 'q', a: 'a', b: 'k' };

/** None where a form is asked for; where there is no kernel, the reason. */
const sizesOf = (
  { q, v, logDecay }: Shapes,
  attrs: DeltaRuleAttrs,
  device: GPUDevice,
): LowRankSizes | string | undefined =>
  attrs.form
    ? undefined
    : lowRankSizes({ q, v, logDecay, before: attrs.eraseBeforeDecay, hasWrites: false, attrs }, device);

export const forwardPlan = ({
  shapes,
  attrs,
  device,
  precision,
}: PlanCall<DeltaRuleInputs, DeltaRuleAttrs>): GpuPlan | string | undefined => {
  const sizes = sizesOf(shapes, attrs, device);
  if (typeof sizes !== 'object') return sizes;
  const { count, heads, dk, dv } = sizes;
  const outputs = {
    o: { shape: shapes.v },
    state: { shape: [count, heads, dk, dv] },
    corrected: { shape: shapes.v },
  };
  const cleared = clearRows(attrs, { o: heads * dv, corrected: heads * dv });
  const initial = shapes.initialState && 'initialState';
  const fewTokens = recurrent(
    sizes,
    {
      recall: shapes.erase ? 'erase' : 'k',
      write: shapes.beta && 'beta',
      isDelta: true,
      logDecay: shapes.logDecay && 'logDecay',
      initial,
      corrected: 'corrected',
      attrs,
    },
    device,
  );
  const planOf = ({ scratch, dispatches }: Omit<GpuPlan, 'outputs'>, ofVectorGate: readonly string[] = []) =>
    keeping(
      { outputs, scratch, dispatches: [...dispatches, ...cleared] },
      { names: deltaRuleKept, again: sizes.gate === 'vector' ? ofVectorGate : [], device },
    );
  if (fewTokens) return planOf({ dispatches: [fewTokens] });
  if (precision === 'mixed' && isMixed(sizes, shapes, attrs, device))
    return planOf(mixedForward(sizes, shapes, attrs.scale), ['sums', 'scores']);
  const scratch = shapesOf(sizes);
  return planOf(
    {
      scratch: {
        ...tableScratch(sizes),
        ...transitionScratch(sizes),
        a: scratch.keys,
        y: scratch.values,
        scores: scratch.planes,
        system: scratch.system(false),
        states: scratch.states,
      },
      dispatches: [
        ...begin(sizes, shapes, { y: 'y', isSolved: false, last: 'state', corrected: 'corrected' }),
        reads(sizes, {
          byState: { x: 'q', states: 'states', scale: attrs.scale },
          scores: 'scores',
          role: 'q',
          y: ['corrected'],
          z: 'o',
          to: 'start',
          transposed: false,
          scale: attrs.scale,
        }),
      ],
    },
    ['sums'],
  );
};

export const forwardKernel = gpuKernel<DeltaRuleInputs, DeltaRuleAttrs>(forwardPlan);

export const gradientPlan = ({
  shapes,
  attrs,
  device,
  precision,
}: PlanCall<DeltaRuleGradientInputs, DeltaRuleAttrs>): GpuPlan | string | undefined => {
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
    ...(shapes.beta && { dBeta: heads }),
    ...(shapes.erase && { dErase: heads * dk }),
    ...(gate === 'scalar' && { dLogDecay: heads }),
    ...(gate === 'vector' && { dLogDecay: heads * dk }),
  };
  const borders = { states: 'states', dStates: 'dStates' };
  const outputs = {
    dQ: { shape: shapes.q },
    dK: { shape: shapes.k },
    dV: { shape: shapes.v },
    dBeta: shapes.beta ? { shape: shapes.beta } : none,
    dErase: shapes.erase ? { shape: shapes.erase } : none,
    dLogDecay: shapes.logDecay ? { shape: shapes.logDecay } : none,
    dInitialState: shapes.initialState ? { shape: shapes.initialState } : none,
  };
  const cleared = clearRows(attrs, clearedWidths);
  const finish = finishOf(shapes);
  if (precision === 'mixed' && isMixed(sizes, shapes, attrs, device)) {
    const mixed = mixedGradient(sizes, shapes, { scale, finish: finishAlone(sizes, finish), device });
    const dispatches = [...mixed.dispatches, ...cleared];
    return fromKept({ outputs, scratch: mixed.scratch, dispatches }, shapes);
  }
  const isFinishedWithGates =
    gate === 'scalar' && device.limits.maxStorageBuffersPerShaderStage >= GATES_AND_FINISH_BUFFERS;
  const plan = {
    outputs,
    scratch: {
      ...tableScratch(sizes),
      ...transitionScratch(sizes),
      a: scratch.keys,
      y: scratch.values,
      scores: scratch.planes,
      dScores: scratch.planes,
      system: scratch.system(true),
      states: scratch.states,
      dStates: scratch.states,
      ...unasked,
      dA: scratch.keys,
      ...(gate === 'scalar' && { dots: scratch.dots }),
      ...(gate === 'vector' && { gates: scratch.gates }),
    },
    dispatches: [
      ...begun(sizes, shapes, {
        all: () => begin(sizes, shapes, { y: 'corrected', isSolved: true, last: undefined, corrected: 'dV' }),
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
        dRecalled: 'dV',
        scale,
      }),
      ...scoreGradients(sizes, {
        dO: 'dO',
        dRecalled: 'dV',
        corrected: 'corrected',
        v: undefined,
        dScores: 'dScores',
      }),
      ...keyGradients(sizes, {
        keys,
        dO: 'dO',
        dRecalled: 'dV',
        corrected: 'corrected',
        ...borders,
        dScores: 'dScores',
        gradients: { q: 'dQ', a: 'dA', b: 'dK' },
        scale,
      }),
      ...gateGradient(sizes, {
        scores: 'scores',
        dScores: 'dScores',
        ...borders,
        dLogDecay: 'dLogDecay',
        scale,
        finish: isFinishedWithGates ? finish : undefined,
      }),
      ...(isFinishedWithGates ? [] : [finishAlone(sizes, finish)]),
      ...cleared,
    ],
  };
  return fromKept(plan, shapes);
};

export const gradientKernel = gpuKernel<DeltaRuleGradientInputs, DeltaRuleAttrs>(gradientPlan);

/** Recall keys, scores and states, from the values as they come or as they were written. */
const begin = (
  sizes: LowRankSizes,
  shapes: Shapes,
  values: Pick<ForwardStates, 'y' | 'isSolved' | 'last' | 'corrected'>,
): GpuDispatch[] => [
  ...chunkTable(sizes),
  prepare(sizes, shapes),
  ...keyScores(sizes, keys, 'scores'),
  ...forwardStates(sizes, {
    ...values,
    keys,
    scores: 'scores',
    system: 'system',
    initial: shapes.initialState && 'initialState',
    states: 'states',
  }),
];

/** `a` and `y`: see prepare.wgsl. */
const prepare = (sizes: LowRankSizes, { beta, erase }: Shapes): GpuDispatch => {
  const { rows, heads, dk, dv } = sizes;
  return stage({
    name: 'DeltaRule prepare',
    parts: [prepareWgsl],
    bindings: {
      erase: rowsOf(erase ? 'erase' : 'k', 'keyWidth'),
      v: rowsOf('v', 'valueWidth'),
      beta: read(beta ? 'beta' : 'k'),
      a: writtenRowsOf('a', 'keyWidth'),
      y: writtenRowsOf('y', 'valueWidth'),
    },
    uniforms: [u32(rows * heads), u32(dk), u32(dv), u32(Number(beta !== undefined))],
    constants: {},
    workgroups: [Math.min(rows * heads, MOST_WORKGROUPS)],
    aligned: dk % 4 === 0 && dv % 4 === 0,
  });
};

/** Gradients of v, β and the erase key: see finish.wgsl. */
const finishOf = ({ beta, erase }: Shapes): Finish => ({
  name: 'DeltaRule finish',
  wgsl: finishWgsl,
  bindings: {
    v: rowsOf('v', 'valueWidth'),
    dA: rowsOf('dA', 'keyWidth'),
    erase: rowsOf(erase ? 'erase' : 'k', 'keyWidth'),
    beta: read(beta ? 'beta' : 'k'),
    dV: writtenRowsOf('dV', 'valueWidth'),
    dErase: writtenRowsOf(erase ? 'dErase' : 'dK', 'keyWidth'),
    dBeta: written(beta ? 'dBeta' : 'unasked'),
  },
  extra: Number(beta !== undefined) + 2 * Number(erase !== undefined),
});

const finishAlone = (sizes: LowRankSizes, { name, wgsl, bindings, extra }: Finish): GpuDispatch =>
  // Nothing is decayed, so there is one pipeline for all gates.
  chunkStage(
    { ...sizes, gate: 'none' },
    {
      name,
      parts: [wgsl, finishAloneWgsl],
      bindings,
      told: { extra },
      workgroups: [1, sizes.heads, sizes.chunks],
    },
  );
