import { memory } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { jobsOf } from '../src/sweep/expand.ts';
import type { Done, Job } from '../src/sweep/record.ts';
import { runJob } from '../src/sweep/run-job.ts';
import { tinySweep } from './tiny-sweep.ts';

const jobOf = (sweep: object): Job => jobsOf({ ...tinySweep, ...sweep })[0]!.job;
const training = { batch: 4, steps: 6, warmupSteps: 1, evaluateEvery: 2, testSequences: 4 };

describe('a job', () => {
  it('has the same outcome every time, but for the seconds', async () => {
    const job = jobOf({ mixers: ['mom gla'], training });
    const [{ seconds: _, ...one }, { seconds: __, ...other }] = [await runJob(job), await runJob(job)];
    expect(one).toEqual(other);
    expect(one).toMatchObject({ status: 'done', curve: [{ step: 2 }, { step: 4 }, { step: 6 }] });
  });

  it('is judged on each of its tests, and remembers the best of its evaluations', async () => {
    const test = (pairs: number) => ({ type: 'mqar', vocabSize: 16, segments: [{ tokens: 8, pairs }] });
    const tasks = { pairs: { ...tinySweep.tasks.pairs, tests: { one: test(1), two: test(2) } } };
    const { accuracies, accuracy, steps, curve } = (await runJob(jobOf({ tasks, training }))) as Done;
    expect(Object.keys(accuracies)).toEqual(['one', 'two']);
    expect(accuracy).toBe((accuracies['one']! + accuracies['two']!) / 2);
    expect(accuracy).toBe(Math.max(...curve.map((point) => point.accuracy)));
    expect(curve.find((point) => point.accuracy === accuracy)?.step).toBe(steps);
  });

  it('ends once the accuracy is above its mark', async () => {
    const job = jobOf({ training: { ...training, steps: 100, stopAt: 0 } });
    const { curve } = (await runJob({ ...job, training: { ...job.training, learningRate: 0.1 } })) as Done;
    expect(curve.at(-1)!.accuracy).toBeGreaterThan(0);
    expect(curve.slice(0, -1).every(({ accuracy }) => accuracy === 0)).toBe(true);
    expect(curve.at(-1)!.step).toBeLessThan(100);
  });

  it('counts the bytes of a state and the parameters', async () => {
    const outcome = (await runJob(jobOf({ mixers: ['mom linear_attention'] }))) as Done;
    expect(outcome.stateBytes).toBeGreaterThanOrEqual(2 * 5 * 4 * 4 * 4);
    expect(outcome.activatedParameters).toBeLessThan(outcome.parameters);
  });

  it('tells where the routers of a mixture sent the tokens', async () => {
    const mixers = ['convolution, bmojo mom gla, mom gla'];
    const { routing } = (await runJob(jobOf({ mixers, model: { layers: 3 }, training }))) as Done;
    expect(routing?.map(({ layer }) => layer)).toEqual([1, 2]);
    for (const { load, example, overlap, memories, topK } of routing!) {
      expect([memories, topK]).toEqual([4, 2]);
      expect(load.map(({ step }) => step)).toEqual([2, 4, 6]);
      for (const { shares } of load) expect(shares.reduce((a, b) => a + b)).toBeCloseTo(1);
      expect(example.ids).toHaveLength(8);
      for (const chosen of example.chosen) expect(new Set(chosen).size).toBe(2);
      expect(overlap.map((row, i) => row[i])).toEqual(overlap.map((row) => (Math.max(...row) > 0 ? 1 : 0)));
    }
  });

  it('that diverges says at which step', async () => {
    const { training: usual, ...job } = jobOf({ training: { ...training, steps: 50, clipNorm: null } });
    const outcome = await runJob({ ...job, training: { ...usual, learningRate: 1e18 } });
    expect(outcome).toMatchObject({
      status: 'diverged',
      cause: {
        code: 'diverged',
        where: expect.stringMatching(/^step \d+$/),
        message: expect.stringContaining('the loss is'),
      },
    });
  });

  it('that cannot be computed says why', async () => {
    const job = jobOf({ mixers: ['convolution, rwkv7'] });
    expect(await runJob(job)).toMatchObject({
      status: 'failed',
      cause: { code: 'config', where: 'rwkv7(layer)' },
    });
  });

  it('leaves no tensor behind, however it ends', async () => {
    const job = jobOf({ mixers: ['mom gla'], training });
    await runJob(job);
    const before = memory().numTensors;
    await runJob(job);
    await runJob({ ...job, training: { ...job.training, clipNorm: null, learningRate: 1e18 } });
    await runJob(jobOf({ mixers: ['convolution, rwkv7'] }));
    expect(memory().numTensors).toBe(before);
  });

  it('that is given up has no outcome', async () => {
    const giveUp = new AbortController();
    const onProgress = (): void => giveUp.abort(new Error('given up'));
    await expect(runJob(jobOf({ training }), { signal: giveUp.signal, onProgress })).rejects.toThrow(
      'given up',
    );
  });
});
