// A sweep on many machines, as its coordinator sees it: puts the jobs into the queue, and takes the results out.
import { QueueEvents } from 'bullmq';
import { setTimeout } from 'node:timers/promises';
import { recordOf } from './environment.ts';
import type { KeyedJob } from './expand.ts';
import { connectionOf, openQueue, QUEUE, troubleTeller, type SweepQueue } from './queue.ts';
import type { JobRecord } from './record.ts';
import type { JobProgress } from './run-job.ts';
import type { SweepEvents } from './run-here.ts';

export interface QueuedSweep extends Omit<SweepEvents, 'drop'> {
  /** `redis://…` */
  readonly url: string;
  /** Jobs of smaller numbers are run first, whichever sweep they are of; 0 before all. */
  readonly priority: number;
  /** Whether to run again what the queue has a result of, e.g. because it failed. */
  readonly isStale?: (record: JobRecord) => boolean;
  /** What went wrong with the queue, for people: the sweep goes on. */
  readonly onTrouble?: (message: string) => void;
  /** Milliseconds between two looks at what became of every job. */
  readonly lookEvery?: number;
}

/** Attempts at a job whose worker process crashes. */
const ATTEMPTS = 3;

/** Jobs that are added, or asked after, at a time. */
const AT_A_TIME = 500;

/**
 * Waits until the workers have ended all jobs, or the sweep is stopped: then the workers go on, and a later call collects. A result
 * leaves the queue only once `onRecord` has it.
 *
 * Events tell of results at once, but get lost where a connection or a server is; so what became of every job is looked up from time
 * to time as well, and a job that the server has lost is added again.
 *
 * @throws UsageError where no server answers
 */
export async function runQueued(
  jobs: readonly KeyedJob[],
  {
    url,
    priority,
    isStale = () => false,
    lookEvery = 3000,
    onProgress,
    onRecord,
    onTrouble,
    stop,
  }: QueuedSweep,
): Promise<void> {
  const queue = await openQueue(url);
  const events = new QueueEvents(QUEUE, { connection: connectionOf(url) });
  const pending = new Map(jobs.map((each) => [each.key, each]));
  const done = new AbortController();
  // Whatever goes wrong with the queue may go right at the next look; a record that cannot be kept ends the sweep.
  const keep = new AbortController();
  const ended = AbortSignal.any([done.signal, keep.signal, ...(stop ? [stop] : [])]);
  const trouble = troubleTeller(onTrouble);
  const take = async (key: string, again: typeof isStale): Promise<void> => {
    const each = pending.get(key);
    if (each === undefined || ended.aborted) return;
    const record = await resultOf(queue, each);
    if (record === undefined) return;
    if (again(record)) {
      await remove(queue, key);
      await add(queue, [each], priority);
      return;
    }
    await onRecord(record).catch((error: unknown) => keep.abort(error));
    keep.signal.throwIfAborted();
    pending.delete(key);
    await remove(queue, key).catch(trouble);
    if (pending.size === 0) done.abort();
  };
  // Results are taken one after the other, whoever tells of them.
  let last = Promise.resolve();
  const collect = (key: string, again: typeof isStale): Promise<void> =>
    (last = last.then(() => take(key, again)).catch(trouble));
  const look = async (again: typeof isStale): Promise<void> => {
    for (const some of chunks([...pending.values()])) {
      const states = await Promise.all(some.map(({ key }) => queue.getJobState(key)));
      const lost = some.filter((_, i) => states[i] === 'unknown');
      await add(queue, lost, priority);
      for (const [i, { key }] of some.entries())
        if (states[i] === 'completed' || states[i] === 'failed') await collect(key, again);
    }
  };
  const never = (): boolean => false;
  events.on('error', trouble);
  queue.on('error', trouble);
  events.on('completed', ({ jobId }) => void collect(jobId, never));
  events.on('failed', ({ jobId }) => void collect(jobId, never));
  events.on('progress', ({ jobId, data }) => {
    if (pending.has(jobId)) onProgress?.(jobId, data as unknown as JobProgress);
  });
  try {
    // A look waits for as long as the server is gone; whoever stops the sweep does not.
    const over = once(ended);
    let again = isStale;
    while (pending.size > 0 && !ended.aborted) {
      await Promise.race([over, look(again).then(() => (again = never), trouble)]);
      await setTimeout(lookEvery, undefined, { signal: ended }).catch(() => undefined);
    }
    keep.signal.throwIfAborted();
  } finally {
    done.abort();
    // A server that is gone would be waited for.
    await Promise.allSettled([events.close(), queue.disconnect()]);
  }
}

const once = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve());
  });

const chunks = (jobs: readonly KeyedJob[]): readonly (readonly KeyedJob[])[] =>
  Array.from({ length: Math.ceil(jobs.length / AT_A_TIME) }, (_, i) =>
    jobs.slice(i * AT_A_TIME, (i + 1) * AT_A_TIME),
  );

async function add(queue: SweepQueue, jobs: readonly KeyedJob[], priority: number): Promise<void> {
  if (jobs.length === 0) return;
  await queue.addBulk(
    jobs.map(({ key, job }) => ({
      name: job.model,
      data: { job },
      opts: { jobId: key, priority, attempts: ATTEMPTS, backoff: { type: 'exponential', delay: 1000 } },
    })),
  );
}

/** The record of a job that has ended: as its worker made it, or of a job that no worker survived. */
async function resultOf(queue: SweepQueue, each: KeyedJob): Promise<JobRecord | undefined> {
  const queued = await queue.getJob(each.key);
  if (queued === undefined) return undefined;
  if (queued.returnvalue) return queued.returnvalue;
  if (!(await queued.isFailed())) return undefined;
  const cause = { code: 'crashed', where: 'queue', message: `${queued.failedReason}.` };
  return recordOf(each, { status: 'failed', cause, curve: [], seconds: 0 });
}

/** Another coordinator may have been faster. */
const remove = async (queue: SweepQueue, key: string): Promise<void> => void (await queue.remove(key));
