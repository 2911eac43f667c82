// What all commands that run jobs have in common: their flags, their progress, where results go.
import { availableParallelism } from 'node:os';
import { Option, type Command } from 'commander';
import type { KeyedJob } from '../sweep/expand.ts';
import { listenForInterrupt } from '../sweep/interrupt.ts';
import { duration, followProgress, labelOf, trainingTokens } from '../sweep/progress.ts';
import type { JobRecord } from '../sweep/record.ts';
import { runHere, type SweepEvents } from '../sweep/run-here.ts';
import { runQueued } from '../sweep/run-queued.ts';
import { openStore } from '../sweep/store.ts';
import { wholeNumber } from '../whole-number.ts';

export interface RunFlags {
  readonly out?: string;
  readonly jobs?: number;
  readonly queue?: string;
  readonly priority: number;
  readonly only?: string;
  readonly retryFailed: boolean;
  readonly dryRun: boolean;
}

export const addRunFlags = (command: Command): Command =>
  command
    .option('--out <file>', 'results, a JSON record a line (default: <sweep>.jsonl)')
    .option('--jobs <n>', 'jobs side by side (default: one a core)', wholeNumber)
    .addOption(
      new Option('--queue <url>', 'let the workers of this Redis or Valkey run the jobs').conflicts('jobs'),
    )
    .option('--priority <n>', 'with --queue: sweeps of smaller numbers come first', wholeNumber, 1000)
    .option('--only <text>', 'jobs whose label has this in it')
    .option('--retry-failed', 'run again what failed or diverged', false)
    .option('--dry-run', 'list the jobs and what they cost', false)
    .addHelpText(
      'after',
      '\nCtrl-C lets the running jobs end; a second one gives them up. With --queue the workers go on without this command.' +
        '\nThe same command goes on from there.' +
        '\nExit codes: 0 all jobs ended; 1 some failed; 2 the sweep or a flag is wrong; 130 interrupted.',
    );

/**
 * Runs the jobs that have no result yet, or lists them.
 *
 * @param name of the sweep, for its result file
 * @returns all records of these jobs, earlier ones among them; none where they are only listed
 */
export async function runSweep(
  name: string,
  jobsOfSweep: readonly KeyedJob[],
  { out, only, retryFailed, dryRun, queue, priority, jobs: workers = availableParallelism() }: RunFlags,
): Promise<readonly JobRecord[]> {
  const all = jobsOfSweep.filter(({ job }) => only === undefined || labelOf(job).includes(only));
  const path = out ?? `${name}.jsonl`;
  if (dryRun) {
    console.log(listing(all));
    return [];
  }
  const isStale = ({ outcome }: JobRecord): boolean => retryFailed && outcome.status !== 'done';
  await using store = await openStore(path, { without: isStale });
  for (const note of store.notes) console.error(`note: ${note}`);
  const jobs = all.filter(({ key }) => !store.records.has(key));
  const where = queue === undefined ? `${workers} at a time` : `through ${withoutPassword(queue)}`;
  console.error(`${all.length} jobs, ${all.length - jobs.length} of them in ${path} already; ${where}.`);
  {
    using interrupt = listenForInterrupt(() => {
      if (queue === undefined)
        console.error('\nThe jobs that run are the last ones. Ctrl-C once more gives them up.');
    });
    using progress = followProgress(jobs);
    const events: SweepEvents = {
      onProgress: progress.onProgress,
      onRecord: async (record) => {
        if (await store.add(record)) progress.onRecord(record);
      },
      stop: interrupt.stop,
      drop: interrupt.drop,
    };
    if (queue === undefined) await runHere(jobs, { ...events, workers });
    else {
      const onTrouble = (message: string): void => console.error(`queue: ${message}`);
      await runQueued(jobs, { ...events, url: queue, priority, isStale, onTrouble });
    }
    if (interrupt.exitCode !== undefined) process.exitCode = interrupt.exitCode;
  }
  const left = all.filter(({ key }) => !store.records.has(key)).length;
  if (left > 0) console.error(`${left} jobs are left: the same command goes on with them.`);
  const failed = all.filter(({ key }) => store.records.get(key)?.outcome.status === 'failed').length;
  if (failed > 0) {
    console.error(`${failed} jobs failed; their causes are in ${path}. --retry-failed runs them again.`);
    process.exitCode ??= 1;
  }
  if (left === 0) console.error(`All ${all.length} results are in ${path}.`);
  return all.flatMap(({ key }) => store.records.get(key) ?? []);
}

function withoutPassword(queue: string): string {
  if (!URL.canParse(queue)) return queue;
  const url = new URL(queue);
  url.password = '';
  return url.href;
}

/** The jobs, and what they cost at most. */
function listing(jobs: readonly KeyedJob[]): string {
  const tokens = jobs.map(({ job }) => trainingTokens(job));
  const total = tokens.reduce((a, b) => a + b, 0);
  return [
    ...jobs.map(
      ({ key, job }, i) => `${key.slice(0, 12)}  ${millions(tokens[i] as number)}  ${labelOf(job)}`,
    ),
    `${jobs.length} jobs, ${millions(total).trim()} training tokens at most: ${duration(total / 50_000)} of one core at 50,000 tokens a second.`,
  ].join('\n');
}

const millions = (count: number): string => `${(count / 1e6).toFixed(2).padStart(8)} M`;
