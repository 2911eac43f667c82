// Sweeps through a real server, with worker processes that are killed, a server that is, and a network that is cut.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../trainer/test/bundle.ts';
import { temporaryFolder } from '../../trainer/test/folder.ts';
import { jobsOf, type KeyedJob } from '../src/sweep/expand.ts';
import { openQueue } from '../src/sweep/queue.ts';
import { serveQueue } from '../src/sweep/queue-worker.ts';
import type { JobRecord } from '../src/sweep/record.ts';
import { runQueued } from '../src/sweep/run-queued.ts';
import { openStore, readRecords } from '../src/sweep/store.ts';
import { Network, redisPath, RedisServer } from './redis-server.ts';
import { deadly, tinySweep } from './tiny-sweep.ts';

/** Seconds after which a worker counts as gone. */
const STALLED_AFTER = 2;

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => 100 + i);
/** Jobs that take a moment each. */
const slowJobs = (n: number, steps = 40): readonly KeyedJob[] =>
  jobsOf({
    ...tinySweep,
    backend: 'wasm',
    seeds: count(n),
    training: { ...tinySweep.training, steps, evaluateEvery: steps },
  });

/** Workers as processes of their own. */
class Workers implements AsyncDisposable {
  readonly children: ChildProcess[] = [];
  constructor(
    private readonly program: string,
    private readonly url: string,
  ) {}

  /** Starts one, and waits until it has begun a job. */
  async start(): Promise<ChildProcess> {
    const args = ['worker', '--queue', this.url, '--jobs', '1', '--stalled-after', String(STALLED_AFTER)];
    const child = spawn(process.execPath, [this.program, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.children.push(child);
    await once(child.stderr!, 'data');
    child.stderr!.resume();
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.children.filter(
      ({ exitCode, signalCode }) => exitCode === null && !signalCode,
    )) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

/** Runs jobs through the queue into a file; `meanwhile` is told after each record how many there are. */
async function collect(
  url: string,
  jobs: readonly KeyedJob[],
  {
    meanwhile = () => undefined,
    ...more
  }: { meanwhile?: (records: number) => void } & Partial<Parameters<typeof runQueued>[1]> = {},
): Promise<readonly JobRecord[]> {
  const path = join(temporaryFolder(), 'results.jsonl');
  {
    await using store = await openStore(path);
    const onRecord = async (record: JobRecord): Promise<void> => {
      await store.add(record);
      meanwhile(store.records.size);
    };
    await runQueued(jobs, { url, priority: 1, lookEvery: 500, onRecord, ...more });
  }
  return readRecords(path);
}

function expectEachOnce(records: readonly JobRecord[], jobs: readonly KeyedJob[]): void {
  expect(records.map(({ key }) => key).sort()).toEqual(jobs.map(({ key }) => key).sort());
  for (const { outcome } of records) expect(outcome).toMatchObject({ status: 'done' });
}

describe.skipIf(redisPath === undefined)('a sweep on many machines', () => {
  let program: string;
  let mortal: string;
  beforeAll(async () => {
    program = await bundle(new URL('../src/cli.ts', import.meta.url));
    mortal = await bundle(new URL('mortal-worker.ts', import.meta.url));
  });

  /** A worker within this process, until it is disposed of. */
  function serve(url: string): AsyncDisposable {
    const stop = new AbortController();
    const served = serveQueue({
      url,
      workers: 1,
      stalledAfter: STALLED_AFTER,
      program: mortal,
      stop: stop.signal,
    });
    return {
      async [Symbol.asyncDispose]() {
        stop.abort();
        await served;
      },
    };
  }

  it('ends each job once where a worker is killed in the middle of one', async () => {
    await using redis = await RedisServer.start();
    await using workers = new Workers(program, redis.url);
    const jobs = slowJobs(8);
    const all = collect(redis.url, jobs);
    const first = await workers.start();
    const second = workers.start();
    first.kill('SIGKILL');
    await second;
    expectEachOnce(await all, jobs);
  });

  it('ends each job once where the server is killed and started again', async () => {
    await using redis = await RedisServer.start();
    await using workers = new Workers(program, redis.url);
    const jobs = slowJobs(8);
    let restarted: Promise<void> | undefined;
    const restart = async (): Promise<void> => {
      await redis.kill();
      await setTimeout(500);
      await redis.startAgain();
    };
    const all = collect(redis.url, jobs, {
      meanwhile: (records) => {
        if (records === 2) restarted = restart();
      },
    });
    await Promise.all([workers.start(), workers.start()]);
    expectEachOnce(await all, jobs);
    await restarted;
  });

  it('ends each job once where the network is cut for longer than a worker may be silent', async () => {
    await using redis = await RedisServer.start();
    await using network = await Network.to(redis.url);
    await using workers = new Workers(program, network.url);
    const jobs = slowJobs(8);
    const all = collect(network.url, jobs, {
      meanwhile: (records) => {
        if (records !== 2) return;
        network.cut();
        void setTimeout(1500 * STALLED_AFTER).then(() => network.mend());
      },
    });
    await Promise.all([workers.start(), workers.start()]);
    expectEachOnce(await all, jobs);
  });

  it('goes on elsewhere with the job of a worker that is asked to end', async () => {
    await using redis = await RedisServer.start();
    await using workers = new Workers(program, redis.url);
    const jobs = slowJobs(1, 200);
    const all = collect(redis.url, jobs);
    const first = await workers.start();
    first.kill('SIGTERM');
    expect(await once(first, 'exit')).toEqual([0, null]);
    await workers.start();
    expectEachOnce(await all, jobs);
  });

  it('tries a job again whose worker process crashes, and records it as failed in the end', async () => {
    await using redis = await RedisServer.start();
    await using _ = serve(redis.url);
    const jobs = jobsOf({ ...tinySweep, seeds: [deadly.killed, 1] });
    const records = await collect(redis.url, jobs);
    expect(records.map(({ job, outcome }) => [job.seed, outcome.status])).toEqual([
      [1, 'done'],
      [deadly.killed, 'failed'],
    ]);
    expect(records[1]?.outcome).toMatchObject({
      cause: { code: 'crashed', message: expect.stringContaining('SIGKILL') },
    });
  });

  it('runs sweeps of smaller priority numbers first', async () => {
    await using redis = await RedisServer.start();
    const ends: number[] = [];
    const sweep = (seed: number, priority: number): Promise<readonly JobRecord[]> =>
      collect(redis.url, jobsOf({ ...tinySweep, seeds: [seed, seed + 1] }), {
        priority,
        onRecord: async ({ job }) => void ends.push(job.seed),
      });
    const both = [sweep(20, 2), sweep(10, 1)];
    await using queue = await openQueue(redis.url).then((opened) => ({
      waiting: () => opened.getPrioritizedCount(),
      [Symbol.asyncDispose]: () => opened.close(),
    }));
    while ((await queue.waiting()) < 4) await setTimeout(20);
    await using _ = serve(redis.url);
    await Promise.all(both);
    expect(ends).toEqual([10, 11, 20, 21]);
  });

  it('is collected by a later coordinator where the first one leaves', async () => {
    await using redis = await RedisServer.start();
    const jobs = jobsOf({ ...tinySweep, seeds: count(6) });
    const leave = new AbortController();
    const early: JobRecord[] = [];
    const first = collect(redis.url, jobs, {
      stop: leave.signal,
      onRecord: async (record) => {
        early.push(record);
        leave.abort();
      },
    });
    await using _ = serve(redis.url);
    await first;
    expect(early).toHaveLength(1);
    const left = jobs.filter(({ key }) => key !== early[0]?.key);
    expectEachOnce(await collect(redis.url, left), left);
  });

  it('ends where a record cannot be kept', async () => {
    await using redis = await RedisServer.start();
    await using _ = serve(redis.url);
    const onRecord = (): Promise<void> => Promise.reject(new Error('no space left'));
    await expect(collect(redis.url, jobsOf(tinySweep), { onRecord })).rejects.toThrow('no space left');
  });

  it('says so where no server answers', async () => {
    await using redis = await RedisServer.start();
    await redis.kill();
    await expect(openQueue(redis.url, 300)).rejects.toThrow('there is no connection: connect ECONNREFUSED');
    await expect(openQueue('localhost')).rejects.toThrow('is no address of a server');
  });
});
