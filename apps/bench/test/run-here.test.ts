import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../trainer/test/bundle.ts';
import { temporaryFolder } from '../../trainer/test/folder.ts';
import { jobsOf } from '../src/sweep/expand.ts';
import type { JobRecord } from '../src/sweep/record.ts';
import { runHere } from '../src/sweep/run-here.ts';
import { deadly, tinySweep } from './tiny-sweep.ts';

let program: string;
beforeAll(async () => {
  program = await bundle(new URL('mortal-worker.ts', import.meta.url));
});

async function run(
  sweep: object,
  options: Partial<Parameters<typeof runHere>[1]> = {},
): Promise<readonly JobRecord[]> {
  const records: JobRecord[] = [];
  const onRecord = async (record: JobRecord): Promise<void> => void records.push(record);
  await runHere(jobsOf({ ...tinySweep, ...sweep }), { workers: 2, program, onRecord, ...options });
  return records;
}

describe('a sweep on this machine', () => {
  it('ends every job once, whatever becomes of the worker processes', async () => {
    const seeds = [1, deadly.killed, 2, deadly.aborted, 3, deadly.exited, 4, 5];
    const records = await run({ seeds });
    const bySeed = new Map(records.map(({ job, outcome }) => [job.seed, outcome]));
    expect(records).toHaveLength(seeds.length);
    for (const seed of [1, 2, 3, 4, 5]) expect(bySeed.get(seed)?.status).toBe('done');
    const causeOf = (seed: number): unknown => bySeed.get(seed);
    expect(causeOf(deadly.killed)).toMatchObject({
      status: 'failed',
      cause: { code: 'crashed', message: expect.stringContaining('SIGKILL') },
    });
    expect(causeOf(deadly.aborted)).toMatchObject({ cause: { message: expect.stringContaining('SIGABRT') } });
    expect(causeOf(deadly.exited)).toMatchObject({
      cause: { message: 'It ended with exit code 7: no more of this' },
    });
  });

  it('begins no job once it is asked to stop, and ends those that run', async () => {
    const stop = new AbortController();
    const records: JobRecord[] = [];
    await run(
      { seeds: [1, 2, 3, 4, 5, 6] },
      {
        stop: stop.signal,
        onRecord: async (record) => {
          records.push(record);
          stop.abort();
        },
      },
    );
    expect(records.length).toBeGreaterThanOrEqual(1);
    expect(records.length).toBeLessThanOrEqual(2);
  });

  it('gives running jobs up where it is told to', async () => {
    const drop = new AbortController();
    const sweep = { seeds: [1, 2], training: { ...tinySweep.training, steps: 1e6, evaluateEvery: 1e6 } };
    expect(await run(sweep, { drop: drop.signal, onProgress: () => drop.abort() })).toEqual([]);
  });

  it('says why where no worker process starts', async () => {
    const broken = join(temporaryFolder(), 'broken.mjs');
    writeFileSync(broken, 'throw new Error("not today")');
    await expect(run({}, { program: broken })).rejects.toThrow('not today');
  });

  it('ends as a whole where a record cannot be kept', async () => {
    const training = { ...tinySweep.training, steps: 1e6, evaluateEvery: 1e6 };
    const [endless] = jobsOf({ ...tinySweep, training });
    const onRecord = (): Promise<void> => Promise.reject(new Error('no space left'));
    const jobs = [endless!, ...jobsOf({ ...tinySweep, seeds: [2] })];
    await expect(runHere(jobs, { workers: 2, program, onRecord })).rejects.toThrow('no space left');
  });
});
