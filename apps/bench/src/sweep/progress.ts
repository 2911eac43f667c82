// How far a sweep is, for people who wait for it.
import { taskOf } from '@mnemix/tasks';
import type { KeyedJob } from './expand.ts';
import type { Job, JobRecord, Outcome } from './record.ts';
import type { JobProgress } from './run-job.ts';

/** Tokens that a job trains on, at most: what its cost is told by before it has run. */
export const trainingTokens = ({ training, task }: Job): number =>
  training.steps * training.batch * taskOf(task).tokens;

/** E.g. `mom gla · 64 · 8 pairs in 64 tokens · lr 0.005 · seed 1`. */
export const labelOf = ({ model, size, setting, training, seed }: Job): string =>
  `${model} · ${size} · ${setting} · lr ${training.learningRate} · seed ${seed}`;

/** E.g. `3 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return 'unknown';
  if (seconds < 99.5) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export const outcomeText = (outcome: Outcome): string =>
  outcome.status === 'done'
    ? `${(100 * outcome.accuracy).toFixed(1).padStart(5)} %  ${String(outcome.steps).padStart(5)} steps`
    : `${outcome.status}: ${outcome.cause.message}`;

export interface Progress extends Disposable {
  onProgress(key: string, progress: JobProgress): void;
  onRecord(record: JobRecord): void;
}

/** Milliseconds between two looks of the status line of a terminal. */
const REFRESH = 500;

/**
 * A line for each job that has ended, and on a terminal one below that says what is running. What is left is told from how much of the
 * training tokens is done, those of running jobs included: too long at first, where trainings stop early.
 */
export function followProgress(
  jobs: readonly KeyedJob[],
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  const tokens = new Map(jobs.map(({ key, job }) => [key, trainingTokens(job)]));
  const total = [...tokens.values()].reduce((a, b) => a + b, 0);
  const jobOf = new Map(jobs.map(({ key, job }) => [key, job]));
  const running = new Map<string, JobProgress>();
  const begin = performance.now();
  let [ended, endedTokens] = [0, 0];

  const left = (): string => {
    const partly = [...running].reduce(
      (sum, [key, { step, steps }]) => sum + (tokens.get(key)! * step) / steps,
      0,
    );
    const share = (endedTokens + partly) / total;
    return `${duration(((performance.now() - begin) / 1000) * (1 / share - 1))} left`;
  };
  const clear = (): void => {
    if (stream.isTTY) stream.write('\r\x1B[K');
  };
  const show = (): void => {
    const now = [...running].map(([key, { step, steps }]) => `${jobOf.get(key)!.model} ${step}/${steps}`);
    const line = `${ended}/${jobs.length}, ${left()}: ${now.join(', ')}`;
    if (now.length > 0) stream.write(`\r\x1B[K${line.slice(0, (stream.columns ?? 80) - 1)}`);
  };
  const timer = stream.isTTY ? setInterval(show, REFRESH) : undefined;
  return {
    onProgress: (key, progress) => void running.set(key, progress),
    onRecord({ key, job, outcome }) {
      running.delete(key);
      ended += 1;
      endedTokens += tokens.get(key) ?? 0;
      clear();
      const rest = ended < jobs.length ? `, ${left()}` : '';
      stream.write(
        `${outcomeText(outcome)}  ${duration(outcome.seconds).padStart(6)}  ${labelOf(job)}  (${ended}/${jobs.length}${rest})\n`,
      );
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      clear();
    },
  };
}
