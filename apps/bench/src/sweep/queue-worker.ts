// A machine's part in the sweeps of a queue: takes jobs, runs each in a worker process of its own, and puts the records back.
import { setTimeout } from 'node:timers/promises';
import { WaitingError, Worker, type Job as QueuedJob } from 'bullmq';
import { recordOf } from './environment.ts';
import { startJobWorker, type JobWorker } from './job-worker.ts';
import { connectionOf, openQueue, QUEUE, troubleTeller, type QueuedData } from './queue.ts';
import type { JobRecord, Outcome } from './record.ts';

export interface QueueWorkerOptions {
  /** `redis://…` */
  readonly url: string;
  /** Jobs at a time. */
  readonly workers: number;
  /** Seconds without a sign of life after which another worker takes a job over. */
  readonly stalledAfter: number;
  readonly program?: string;
  /** Gives running jobs back to the queue, and ends. */
  readonly stop: AbortSignal;
  readonly onBegin?: (job: QueuedData['job']) => void;
  readonly onEnd?: (record: JobRecord) => void;
  /** What went wrong with the queue, for people: the worker goes on. */
  readonly onTrouble?: (message: string) => void;
}

/** How often a job may lose its worker before it counts as failed: it may be the job that kills them. */
const LOSSES = 5;

/** Milliseconds between tries to reach a server that is gone. */
const RETRY = 1000;

/** Milliseconds for giving jobs back. */
const GRACE = 5000;

const LOST = 'another worker has it';

/** Whether another attempt may end otherwise: the process crashed, or its device was lost. */
const mayPass = (outcome: Outcome): boolean =>
  outcome.status === 'failed' && ['crashed', 'backend'].includes(outcome.cause.code);

/**
 * Serves until it is stopped.
 *
 * @throws UsageError where no server answers
 */
export async function serveQueue(options: QueueWorkerOptions): Promise<void> {
  const { url, workers, stalledAfter, program, stop, onBegin, onEnd, onTrouble } = options;
  const probe = await openQueue(url);
  await probe.close();
  const idle = Array.from({ length: workers }, () => startJobWorker(program));
  const all: readonly JobWorker[] = [...idle];

  const run = async (
    queued: QueuedJob<QueuedData, JobRecord>,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<JobRecord> => {
    const worker = idle.pop() as JobWorker;
    const { job } = queued.data;
    onBegin?.(job);
    try {
      const outcome = await worker.run(job, {
        ...(signal ? { signal } : {}),
        // A progress that gets lost is none to worry about.
        onProgress: (progress) => void queued.updateProgress({ ...progress }).catch(() => undefined),
      });
      const isLast = queued.attemptsMade + 1 >= (queued.opts.attempts ?? 1);
      if (mayPass(outcome) && !isLast && outcome.status === 'failed') throw new Error(outcome.cause.message);
      const record = recordOf({ key: queued.id as string, job }, outcome);
      onEnd?.(record);
      return record;
    } catch (error) {
      if (!signal?.aborted) throw error;
      if (signal.reason === LOST) throw new Error(LOST, { cause: error });
      await queued.moveToWait(token);
      throw new WaitingError();
    } finally {
      idle.push(worker);
    }
  };

  const worker = new Worker<QueuedData, JobRecord>(QUEUE, run, {
    connection: connectionOf(url),
    concurrency: workers,
    lockDuration: 1000 * stalledAfter,
    stalledInterval: 500 * stalledAfter,
    maxStalledCount: LOSSES,
    runRetryDelay: RETRY,
  });
  worker.on('error', troubleTeller(onTrouble));
  worker.on('lockRenewalFailed', (keys: string[]) => {
    for (const key of keys) worker.cancelJob(key, LOST);
  });
  await new Promise<void>((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener('abort', () => resolve());
  });
  const closed = worker.close();
  worker.cancelAllJobs('the worker stops');
  // A server that is gone cannot be given anything back: it will miss this worker by itself.
  await Promise.race([closed, setTimeout(GRACE, undefined, { ref: false })]);
  await worker.disconnect();
  await Promise.all(all.map((each) => each[Symbol.asyncDispose]()));
}
