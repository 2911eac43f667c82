// A sweep on this machine: as many worker processes as are asked for, each with one job at a time.
import { recordOf } from './environment.ts';
import type { KeyedJob } from './expand.ts';
import { startJobWorker } from './job-worker.ts';
import type { JobRecord } from './record.ts';
import type { JobProgress } from './run-job.ts';

export interface SweepEvents {
  readonly onProgress?: (key: string, progress: JobProgress) => void;
  /** Told each record as it comes; the sweep waits for it. */
  readonly onRecord: (record: JobRecord) => Promise<void>;
  /** From then on no job is begun. */
  readonly stop?: AbortSignal;
  /** Jobs that run are given up. */
  readonly drop?: AbortSignal;
}

/** Runs the jobs in their order, until all have ended or the sweep is stopped. */
export async function runHere(
  jobs: readonly KeyedJob[],
  { workers, program, onProgress, onRecord, stop, drop }: SweepEvents & { workers: number; program?: string },
): Promise<void> {
  const waiting = [...jobs];
  // A record that cannot be kept, or workers that do not start, end the sweep for all of them.
  const failure = new AbortController();
  const signal = AbortSignal.any([failure.signal, ...(drop ? [drop] : [])]);
  const work = async (): Promise<void> => {
    await using worker = startJobWorker(program);
    for (;;) {
      if (stop?.aborted || signal.aborted) return;
      const next = waiting.shift();
      if (next === undefined) return;
      const outcome = await worker.run(next.job, {
        signal,
        onProgress: (progress) => onProgress?.(next.key, progress),
      });
      await onRecord(recordOf(next, outcome));
    }
  };
  const working = Array.from({ length: Math.min(workers, jobs.length) }, () =>
    work().catch((error: unknown) => {
      if (!signal.aborted) failure.abort(error);
    }),
  );
  await Promise.all(working);
  failure.signal.throwIfAborted();
}
