// A worker process as its parent sees it. It lives for as many jobs as it survives, since starting one takes longer than a small job.
import { fork, type ChildProcess } from 'node:child_process';
import type { Failed, Job, Outcome } from './record.ts';
import type { JobProgress } from './run-job.ts';
import type { Assignment, Report } from './worker-process.ts';

export interface JobWorker extends AsyncDisposable {
  /**
   * The outcome of a job, one at a time. A process that ends in the middle of it is an outcome too; the next job gets a new one.
   *
   * @param signal kills the process; the call then rejects with the signal's reason
   * @throws Error where not even the first process starts
   */
  run(
    job: Job,
    options?: { signal?: AbortSignal; onProgress?: (progress: JobProgress) => void },
  ): Promise<Outcome>;
}

/** Characters of a process's last words that are kept. */
const LAST_WORDS = 2000;

interface Process {
  readonly child: ChildProcess;
  /** Once it waits for its first job. */
  readonly ready: Promise<true>;
  /** How it ended, e.g. `SIGKILL`. */
  readonly ended: Promise<string>;
  /** The end of its stderr. */
  words: string;
}

/** @param program what to run with `sweep-worker`: this program */
export function startJobWorker(program = process.argv[1] as string): JobWorker {
  let live: Process | undefined;
  let hasStarted = false;
  return {
    async run(job, { signal, onProgress } = {}) {
      signal?.throwIfAborted();
      const begin = performance.now();
      const used = (live ??= startProcess(program));
      const kill = (): void => void used.child.kill('SIGKILL');
      signal?.addEventListener('abort', kill);
      const isReady = (await Promise.race([used.ready, used.ended])) === true;
      hasStarted ||= isReady;
      const outcome = isReady ? await outcomeOf(used, job, onProgress) : await used.ended;
      signal?.removeEventListener('abort', kill);
      if (typeof outcome === 'object') return outcome;
      live = undefined;
      signal?.throwIfAborted();
      const failed = crashed(outcome, used.words, (performance.now() - begin) / 1000);
      if (!hasStarted) throw new Error(`A worker process did not start. ${failed.cause.message}`);
      return failed;
    },
    async [Symbol.asyncDispose]() {
      live?.child.kill('SIGKILL');
      await live?.ended;
      live = undefined;
    },
  };
}

function startProcess(program: string): Process {
  const child = fork(program, ['sweep-worker'], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const started: Process = {
    child,
    ready: new Promise((resolve) => child.once('message', () => resolve(true))),
    ended: new Promise((resolve) => {
      child.on('error', ({ message }) => resolve(message));
      child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
    }),
    words: '',
  };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    started.words = (started.words + text).slice(-LAST_WORDS);
  });
  return started;
}

/** The outcome, or how the process ended without one. */
async function outcomeOf(
  { child, ended }: Process,
  job: Job,
  onProgress: ((progress: JobProgress) => void) | undefined,
): Promise<Outcome | string> {
  let onMessage: (report: Report) => void = () => undefined;
  const reported = new Promise<Outcome>((resolve) => {
    onMessage = (report) => {
      if ('progress' in report) onProgress?.(report.progress);
      if ('outcome' in report) resolve(report.outcome);
    };
  });
  child.on('message', onMessage);
  // A process that has ended just now cannot be sent anything; `ended` says so.
  child.send({ job } satisfies Assignment, () => undefined);
  const outcome = await Promise.race([reported, ended]);
  child.off('message', onMessage);
  return outcome;
}

/** Of a process that the system killed nothing else is known: memory that ran out is the usual reason for SIGKILL. */
function crashed(how: string, words: string, seconds: number): Failed {
  const said = words.trim();
  return {
    status: 'failed',
    cause: {
      code: 'crashed',
      where: 'worker process',
      message: `It ended with ${how}${how === 'SIGKILL' ? ', as when memory runs out' : ''}${said ? `: ${said}` : '.'}`,
    },
    curve: [],
    seconds,
  };
}
