// MAD as a sweep: its grid, its judgement, its decoder.
import { closeBackend } from '@mnemix/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { madJobs } from '../src/mad/jobs.ts';
import { madScores, madTable, madTaskNames } from '../src/mad/score.ts';
import type { JobRecord } from '../src/sweep/record.ts';
import { runJob } from '../src/sweep/run-job.ts';

const tasks = Object.keys(madTaskNames) as (keyof typeof madTaskNames)[];
const common = { mixers: ['gla'], tasks, seeds: [1], backend: 'wasm' } as const;

afterAll(closeBackend);

describe('madJobs', () => {
  it('has 396 trainings of each mixer at full scale', () => {
    expect(madJobs({ ...common, variations: true, scale: 'paper' })).toHaveLength(396);
  });

  it('passes 200 times over the examples at full scale', () => {
    const [{ job } = { job: undefined }] = madJobs({ ...common, variations: false, scale: 'paper' });
    expect(job?.training).toMatchObject({ batch: 128, steps: 20_000, schedule: 'constant', clipNorm: null });
  });

  it('has a job for each task at small scale', () => {
    const jobs = madJobs({ ...common, variations: false, scale: 'small' });
    expect(jobs.map(({ job }) => job.task.type).sort()).toEqual([...tasks].sort());
  });
});

describe('a MAD job', () => {
  it.each(tasks)('%s trains, and is judged by classes', async (type) => {
    const [keyed] = madJobs({ ...common, tasks: [type], variations: false, scale: 'small' });
    const job = keyed!.job;
    const outcome = await runJob({
      ...job,
      training: { ...job.training, batch: 4, steps: 4, evaluateEvery: 2, testSequences: 8 },
    });
    expect(outcome).toMatchObject({ status: 'done', curve: [{ step: 2 }, { step: 4 }] });
    if (outcome.status !== 'done') return;
    expect(outcome.accuracy).toBeGreaterThanOrEqual(0);
    expect(outcome.accuracy).toBeLessThanOrEqual(1);
  });

  it('compression learns through its decoder', async () => {
    const [keyed] = madJobs({ ...common, tasks: ['mad_compression'], variations: false, scale: 'small' });
    const job = keyed!.job;
    const outcome = await runJob({
      ...job,
      task: { type: 'mad_compression', vocabSize: 4, tokens: 2, examples: 64, testExamples: 16 },
      lm: { ...job.lm, vocabSize: 4, width: 16, mlp: { hidden: 16 }, mixer: { type: 'gla', heads: 1 } },
      training: {
        ...job.training,
        learningRate: 1e-2,
        batch: 16,
        steps: 60,
        evaluateEvery: 20,
        testSequences: 16,
        stopAt: 0.95,
      },
    });
    expect(outcome).toMatchObject({ status: 'done' });
    if (outcome.status === 'done') expect(outcome.accuracy).toBeGreaterThan(0.9);
  });
});

describe('madScores', () => {
  it('takes the best training of a setting, and the mean over settings', () => {
    const jobs = madJobs({ ...common, tasks: ['mad_compression'], variations: true, scale: 'paper' });
    const records = jobs.map(({ key, job }): JobRecord => {
      const accuracy =
        job.training.learningRate === 1e-3 ? (job.setting === 'mad_compression' ? 1 : 0.5) : 0.1;
      return {
        key,
        job,
        outcome: {
          status: 'done',
          accuracies: { test: accuracy },
          accuracy,
          steps: 1,
          curve: [],
          stateBytes: 1,
          parameters: 1,
          activatedParameters: 1,
          seconds: 1,
        },
        environment: {},
        finished: '',
      };
    });
    const [score] = madScores(records);
    expect(score?.settings).toBe(11);
    expect(score?.tasks.mad_compression).toBeCloseTo((1 + 10 * 0.5) / 11);
    expect(score?.mean).toBeUndefined();
    expect(madTable([score!]).rows[0]).toEqual(['gla', '54.5', '–', '–', '–', '–', '–', '–', '11']);
  });
});
