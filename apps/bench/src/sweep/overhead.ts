// What a sweep costs beside its jobs, and what further workers bring.
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { jobsOf, type KeyedJob } from './expand.ts';
import { serveQueue } from './queue-worker.ts';
import type { JobRecord } from './record.ts';
import { runHere } from './run-here.ts';
import { runQueued } from './run-queued.ts';
import { openStore } from './store.ts';

/** A way to run jobs: `onRecord` has to be told each. */
type Run = (
  jobs: readonly KeyedJob[],
  options: { workers: number; onRecord: (record: JobRecord) => Promise<void> },
) => Promise<void>;

export interface OverheadRow {
  readonly way: 'embedded' | 'queue';
  readonly workers: number;
  readonly jobs: number;
  /** Of the whole sweep, with the start of the worker processes and a result file. */
  readonly seconds: number;
  /** Beside the jobs themselves, for each: (seconds · workers − those of the jobs) / jobs. */
  readonly overheadMilliseconds: number;
}

export interface ScalingRow {
  readonly workers: number;
  readonly jobs: number;
  readonly seconds: number;
  /** Over one worker. */
  readonly speedup: number;
}

export interface OverheadResult {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  /** What other programs kept running before, in processes: 0 on a quiet machine. */
  readonly load: number;
  readonly overhead: readonly OverheadRow[];
  readonly scaling: readonly ScalingRow[];
}

export interface OverheadOptions {
  /** Trivial jobs of each sweep. */
  readonly jobs: number;
  /** Also through this Redis or Valkey, whose queue should be empty. */
  readonly queue: string | undefined;
  readonly onProgress: (text: string) => void;
}

/** Jobs that compute next to nothing: two steps of a model four wide. */
const trivial = (count: number): readonly KeyedJob[] =>
  jobsOf(sweep(count, { backend: 'cpu', width: 4, tokens: 8, pairs: 2, steps: 2, batch: 2 }));

/** Jobs of about a second on one core. */
const substantial = (count: number): readonly KeyedJob[] =>
  jobsOf(sweep(count, { backend: 'wasm', width: 64, tokens: 64, pairs: 8, steps: 10, batch: 32 }));

interface Load {
  readonly backend: 'cpu' | 'wasm';
  readonly width: number;
  readonly tokens: number;
  readonly pairs: number;
  readonly steps: number;
  readonly batch: number;
}

const sweep = (count: number, { backend, width, tokens, pairs, steps, batch }: Load) => ({
  backend,
  mixers: ['linear_attention'],
  sizes: { [width]: { width } },
  tasks: { mqar: { train: { type: 'mqar', vocabSize: tokens + 2, segments: [{ tokens, pairs }] } } },
  seeds: Array.from({ length: count }, (_, i) => i),
  training: { batch, steps, warmupSteps: 1, evaluateEvery: steps, testSequences: batch },
});

/** Seconds of the sweep, and of its jobs taken together. */
async function timed(run: Run, jobs: readonly KeyedJob[], workers: number) {
  const path = join(tmpdir(), `mnemix-overhead-${randomUUID()}.jsonl`);
  let inJobs = 0;
  const begin = performance.now();
  try {
    await using store = await openStore(path);
    await run(jobs, {
      workers,
      onRecord: async (record) => {
        inJobs += record.outcome.seconds;
        await store.add(record);
      },
    });
    return { seconds: (performance.now() - begin) / 1000, inJobs };
  } finally {
    await rm(path, { force: true });
  }
}

/** A worker of this process, and its coordinator beside it. */
const throughQueue =
  (url: string): Run =>
  async (jobs, { workers, onRecord }) => {
    const stop = new AbortController();
    const served = serveQueue({ url, workers, stalledAfter: 30, stop: stop.signal });
    await runQueued(jobs, { url, priority: 1, onRecord });
    stop.abort();
    await served;
  };

/** Jobs of each measurement of scaling, for every worker of the largest number. */
const PER_WORKER = 10;

export async function measureOverhead({ jobs, queue, onProgress }: OverheadOptions): Promise<OverheadResult> {
  const cores = availableParallelism();
  const load = loadavg()[0] as number;
  const counts = [1, 2, 4].filter((workers) => workers <= cores);
  const ways: readonly { way: OverheadRow['way']; run: Run }[] = [
    { way: 'embedded', run: runHere },
    ...(queue === undefined ? [] : [{ way: 'queue' as const, run: throughQueue(queue) }]),
  ];
  const overhead: OverheadRow[] = [];
  for (const { way, run } of ways) {
    for (const workers of counts) {
      const { seconds, inJobs } = await timed(run, trivial(jobs), workers);
      const overheadMilliseconds = (1000 * (seconds * workers - inJobs)) / jobs;
      overhead.push({ way, workers, jobs, seconds, overheadMilliseconds });
      onProgress(`${way}, ${workers} workers: ${overheadMilliseconds.toFixed(1)} ms a job`);
    }
  }
  const scaling: ScalingRow[] = [];
  const many = substantial(PER_WORKER * Math.max(...counts));
  for (const workers of counts) {
    const { seconds } = await timed(runHere, many, workers);
    const speedup = (scaling[0]?.seconds ?? seconds) / seconds;
    scaling.push({ workers, jobs: many.length, seconds, speedup });
    onProgress(`${workers} workers: ${speedup.toFixed(2)} × one`);
  }
  return { node: process.version, cpu: cpus()[0]?.model.trim() ?? 'unknown', cores, load, overhead, scaling };
}

export function formatOverhead({ node, cpu, cores, load, overhead, scaling }: OverheadResult): string {
  return [
    `Sweeps of trivial jobs (two steps of a model four wide), with the start of the worker processes and a result file: what a job ` +
      `costs beside itself, (seconds · workers − seconds of the jobs) / jobs. Node ${node}, ${cpu}, ${cores} cores, other programs that computed meanwhile: ${load.toFixed(1)}.`,
    '',
    '| way | workers | jobs | seconds | overhead a job, ms |',
    '|---|---|---|---|---|',
    ...overhead.map(
      ({ way, workers, jobs, seconds, overheadMilliseconds }) =>
        `| ${way} | ${workers} | ${jobs} | ${seconds.toFixed(1)} | ${overheadMilliseconds.toFixed(1)} |`,
    ),
    '',
    'Jobs of a second or so, as many at a time as there are workers:',
    '',
    '| workers | jobs | seconds | times one worker |',
    '|---|---|---|---|',
    ...scaling.map(
      ({ workers, jobs, seconds, speedup }) =>
        `| ${workers} | ${jobs} | ${seconds.toFixed(1)} | ${speedup.toFixed(2)} |`,
    ),
    '',
  ].join('\n');
}
