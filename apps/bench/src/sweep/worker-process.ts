// What a worker process does: one job after the other, as its parent sends them. Nothing that happens to it reaches the others.
import type { Job, Outcome } from './record.ts';
import { runJob, type JobProgress } from './run-job.ts';

/** From the parent. */
export interface Assignment {
  readonly job: Job;
}

/** To the parent: ready for the first job; how far the job is; what came of it. */
export type Report =
  | { readonly ready: true }
  | { readonly progress: JobProgress }
  | { readonly outcome: Outcome };

/** Milliseconds between two reports of progress. */
const EVERY = 500;

/** Serves until the parent is gone. */
export function serveJobs(): void {
  if (!process.send) throw new Error('This command is a part of others: it has no use on its own.');
  const tell = (report: Report): boolean | undefined => process.send?.(report);
  // Ctrl-C reaches every process of the terminal; what is to become of a running job is the parent's to say.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.on('disconnect', () => process.exit());
  process.on('message', ({ job }: Assignment) => {
    let next = performance.now() + EVERY;
    const onProgress = (progress: JobProgress): void => {
      if (performance.now() < next) return;
      next = performance.now() + EVERY;
      tell({ progress });
    };
    void runJob(job, { onProgress }).then((outcome) => tell({ outcome }));
  });
  tell({ ready: true });
}
