// What windows, fading memories and eidetic slots bring to recall, accuracy against bytes of state (the question of Zancato et al.
// 2024, Figure 2). The null line is what a window alone can answer, by formula: what a model reaches above it, it owes to memory
// outside of its window.
import type { BmojoMixerConfig, CellConfig, LmConfig, MixerConfig } from '@mnemix/lm';
import { mqar, windowCeiling, type MqarSegment } from '@mnemix/tasks';
import { openBackend } from '@mnemix/tensor';
import { valueMarks } from './recall-marks.ts';
import { startTraining } from './training.ts';

export interface StudyPreset {
  readonly backend: 'wasm' | 'webgpu';
  readonly vocabSize: number;
  readonly width: number;
  readonly heads: number;
  /** w of the window. */
  readonly window: number;
  readonly cell: CellConfig;
  /** Trained on this mixture; easier sequences among them, without which few models find out how to recall at all. */
  readonly train: readonly MqarSegment[];
  /** Judged on each of these alone. */
  readonly test: readonly MqarSegment[];
  readonly batch: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly models: readonly StudyModel[];
  readonly fills: readonly Fill[];
}

export type Fill = 'blank' | 'random';
type Policy = 'innovation' | 'random' | 'recency' | 'oracle' | 'self_recall';

/** A kind of model, with slots and a policy where it has an eidetic memory. */
export interface StudyModel {
  readonly kind: 'window' | 'cell' | 'hybrid' | 'bmojo-f' | 'bmojo';
  readonly slots?: number;
  readonly policy?: Policy;
}

const POLICIES: readonly Policy[] = ['innovation', 'random', 'recency', 'oracle', 'self_recall'];
const plain: readonly StudyModel[] = [
  { kind: 'window' },
  { kind: 'cell' },
  { kind: 'hybrid' },
  { kind: 'bmojo-f' },
];
const withSlots = (slots: readonly number[], policies = POLICIES): StudyModel[] =>
  slots.flatMap((count) => policies.map((policy): StudyModel => ({ kind: 'bmojo', slots: count, policy })));

/** Half an hour on two cores; the paper's setting, for a GPU; and the window alone at that setting. */
export const studyPresets = {
  cpu: {
    backend: 'wasm',
    vocabSize: 66,
    width: 64,
    heads: 1,
    window: 16,
    cell: { type: 'gated_delta_net', heads: 1, headWidth: 8, expandV: 1, initialDecay: 1 },
    train: [4, 8, 16].map((pairs) => ({ tokens: 64, pairs })),
    test: [4, 8, 16].map((pairs) => ({ tokens: 64, pairs })),
    batch: 32,
    steps: 800,
    learningRate: 5e-3,
    models: [...plain, ...withSlots([8]), ...withSlots([16], ['innovation', 'random', 'oracle'])],
    fills: ['blank', 'random'],
  },
  paper: {
    backend: 'webgpu',
    vocabSize: 8192,
    width: 128,
    heads: 2,
    window: 32,
    cell: { type: 'mamba2', heads: 4, stateWidth: 16, expand: 2 },
    train: [4, 8, 16, 32, 64].map((pairs) => ({ tokens: 256, pairs })),
    test: [16, 32, 64].map((pairs) => ({ tokens: 256, pairs })),
    batch: 64,
    steps: 20_000,
    learningRate: 3e-3,
    models: [...plain, ...withSlots([8, 16, 32, 64])],
    fills: ['blank', 'random'],
  },
  ceilings: {
    backend: 'wasm',
    vocabSize: 512,
    width: 64,
    heads: 1,
    window: 32,
    cell: { type: 'gated_delta_net', heads: 1, headWidth: 8, expandV: 1 },
    // Most of these answers stand inside of the window; where to look does not depend on the length.
    train: [
      { tokens: 64, pairs: 4 },
      { tokens: 64, pairs: 8 },
      { tokens: 128, pairs: 16 },
    ],
    test: [16, 32, 64].map((pairs) => ({ tokens: 256, pairs })),
    batch: 32,
    steps: 1500,
    learningRate: 5e-3,
    models: [{ kind: 'window' }],
    fills: ['blank'],
  },
} as const satisfies Record<string, StudyPreset>;

export type StudyName = keyof typeof studyPresets;

export interface StudyJob extends StudyModel {
  readonly preset: StudyName;
  readonly fill: Fill;
  readonly seed: number;
}

export interface StudyResult extends StudyJob {
  /** On unseen sequences of each of the preset's `test`. */
  readonly accuracies: readonly number[];
  /** Of one sequence. */
  readonly stateBytes: number;
  readonly seconds: number;
}

export const studyJobs = (preset: StudyName, seeds: number): readonly StudyJob[] => {
  const { models, fills }: StudyPreset = studyPresets[preset];
  return Array.from({ length: seeds }, (_, i) => i + 1).flatMap((seed) =>
    fills.flatMap((fill) => models.map((model) => ({ ...model, preset, fill, seed }))),
  );
};

const SEQUENCES = 512;

/** Two layers without MLP: the first binds values to their keys, the second has to find them. */
function studyModel({ kind, slots, policy }: StudyModel, preset: StudyPreset): LmConfig {
  const { vocabSize, width, heads, window, cell } = preset;
  const bind: MixerConfig = { type: 'convolution' };
  const inWindow: BmojoMixerConfig = { type: 'bmojo', window, heads };
  const withFading: BmojoMixerConfig = { ...inWindow, fading: cell };
  const eidetic = { slots: slots ?? 0, policy: { type: policy ?? 'innovation' } } as const;
  const mixer: Record<StudyModel['kind'], readonly MixerConfig[]> = {
    window: [bind, inWindow],
    cell: [bind, cell],
    hybrid: [cell, inWindow],
    'bmojo-f': [bind, withFading],
    bmojo: [bind, { ...withFading, eidetic }],
  };
  return { vocabSize, width, layers: 2, mlp: null, mixer: mixer[kind] };
}

/** Trains one model for all of the preset's steps. */
export async function runStudy(
  job: StudyJob,
  onStep: (step: number, loss: number) => void = () => undefined,
): Promise<StudyResult> {
  const preset: StudyPreset = studyPresets[job.preset];
  const { vocabSize, train, test, batch, steps, learningRate, backend } = preset;
  await openBackend(backend, backend === 'wasm' ? { threads: 1 } : {});
  const begin = performance.now();
  const { fill, seed } = job;
  const training = startTraining({
    model: studyModel(job, preset),
    task: mqar({ vocabSize, segments: train, fill }),
    batch,
    steps,
    seed,
    learningRate,
    marksOf: valueMarks,
  });
  for (let step = 0; step < steps; step++) onStep(step + 1, await training.step(step));
  const accuracies: number[] = [];
  for (const segment of test)
    accuracies.push(await training.accuracy(SEQUENCES, mqar({ vocabSize, segments: [segment], fill })));
  const stateBytes = training.model.stateBytes(1);
  training.dispose();
  return { ...job, accuracies, stateBytes, seconds: (performance.now() - begin) / 1000 };
}

/** What the window alone can answer of each test, by formula. */
export const ceilingsOf = ({ test, window }: StudyPreset): readonly number[] =>
  test.map((segment) => windowCeiling(segment, window));
