import { createLm } from '@mnemix/lm';
import { mqarProtocols, taskOf, type Protocol } from '@mnemix/tasks';
import { openBackend, Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { jobsOf } from '../src/sweep/expand.ts';
import { trainingTokens } from '../src/sweep/progress.ts';
import { presetNames, readPreset } from '../src/sweep/read-sweep.ts';
import type { Job } from '../src/sweep/record.ts';

const preset = (name: string): readonly Job[] => jobsOf(readPreset(name)).map(({ job }) => job);
const distinct = <T>(values: readonly T[]): readonly T[] => [...new Set(values)];

/** What a job has of a published protocol. */
function expectProtocol(job: Job, { task, training }: Protocol): void {
  const { segments, fill, vocabSize } = task as Extract<Protocol['task'], { type: 'mqar' }>;
  const epoch = taskOf(task).batchesPerEpoch(training.batch, 'train');
  expect(job.task).toMatchObject({ type: 'mqar', segments, fill, vocabSize });
  expect(job.lm.tieEmbeddings).toBe(true);
  expect(job.training).toMatchObject({
    batch: training.batch,
    steps: training.epochs * epoch,
    evaluateEvery: epoch,
    weightDecay: training.weightDecays[0],
    warmupSteps: training.warmupSteps,
    clipNorm: training.clipNorm,
    stopAt: training.stopAt,
    schedule: 'cosine',
    finalRatio: 0,
  });
}

const expectRates = (jobs: readonly Job[], rates: readonly number[]): void => {
  const found = distinct(jobs.map(({ training }) => training.learningRate));
  expect(found).toHaveLength(rates.length);
  found.forEach((rate, i) => expect(rate).toBeCloseTo(rates[i] as number, 12));
};

describe('presets', () => {
  it.each(presetNames())('%s has no fault, and no job twice', (name) => {
    const jobs = jobsOf(readPreset(name));
    expect(jobs.length).toBeGreaterThan(0);
    expect(new Set(jobs.map(({ key }) => key)).size).toBe(jobs.length);
  });

  it('based is the published Recall-Memory sweep', () => {
    const jobs = preset('based');
    const protocol = mqarProtocols.based();
    for (const job of jobs) expectProtocol(job, protocol);
    expectRates(jobs, protocol.training.learningRates);
    const tests = Object.values(jobs[0]!.tests!).flatMap((test) => (test as { segments?: unknown }).segments);
    expect(tests).toEqual((protocol.task as { testSegments?: unknown }).testSegments);
  });

  it('zoology is the published figure 2', () => {
    const jobs = preset('zoology');
    for (const job of jobs) {
      const [segment] = (job.task as { segments: readonly { tokens: number; pairs: number }[] }).segments;
      expectProtocol(job, mqarProtocols.zoology(segment!));
    }
    expectRates(jobs, mqarProtocols.zoology({ tokens: 64, pairs: 4 }).training.learningRates);
  });

  it('cpu has every kind of mixer that is to be compared', () => {
    const families = distinct(preset('cpu').map(({ family }) => family));
    expect(families.filter((family) => family.startsWith('mom ')).length).toBeGreaterThanOrEqual(4);
    expect(families).toEqual(expect.arrayContaining(['window', 'attention', 'rwkv7', 'gsa']));
    expect(families.filter((family) => family.startsWith('bmojo'))).toHaveLength(2);
  });

  it('quick is a small part of cpu', () => {
    const tokens = (name: string): number => preset(name).reduce((sum, job) => sum + trainingTokens(job), 0);
    expect(tokens('quick')).toBeLessThan(tokens('cpu') / 5);
  });

  it('mom-vs-single compares what has as many activated parameters, or as many bytes of state, within two percent', async () => {
    await openBackend('cpu');
    const sizes = new Map(
      preset('mom-vs-single').map(({ family, size, lm }) => {
        const model = createLm(lm);
        const parameters = model.parameterCount(model.init(Rng.of(1))).activated;
        return [`${family}, ${size}`, { parameters, state: model.stateBytes(1) }];
      }),
    );
    for (const cell of ['gated_delta_net', 'gla']) {
      const [mixture, parameters, state] = [
        `mom ${cell}, 4 memories, top-2`,
        `${cell}, equal parameters`,
        `${cell}, equal state`,
      ].map((name) => sizes.get(name)!);
      expect(Math.abs(parameters!.parameters / mixture!.parameters - 1)).toBeLessThan(0.02);
      expect(Math.abs(state!.state / mixture!.state - 1)).toBeLessThan(0.02);
    }
    expect(distinct(preset('mom-vs-single').map(({ seed }) => seed)).length).toBeGreaterThanOrEqual(3);
  });
});
