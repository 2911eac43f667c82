// `bench worker`: this machine's part in the sweeps of a queue.
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { listenForInterrupt } from '../sweep/interrupt.ts';
import { labelOf, outcomeText } from '../sweep/progress.ts';
import { serveQueue } from '../sweep/queue-worker.ts';
import { wholeNumber } from '../whole-number.ts';
import { reportingFaults } from './usage.ts';

interface Flags {
  readonly queue: string;
  readonly jobs: number;
  readonly stalledAfter: number;
}

export function addWorker(program: Command): void {
  program
    .command('worker')
    .description('runs the jobs that `recall --queue` puts into a queue, until it is stopped')
    .requiredOption('--queue <url>', 'Redis or Valkey, e.g. redis://localhost:6379')
    .option('--jobs <n>', 'jobs side by side', wholeNumber, availableParallelism())
    .option(
      '--stalled-after <seconds>',
      'without a sign of life from here for so long, others take the jobs over',
      wholeNumber,
      30,
    )
    .addHelpText('after', '\nCtrl-C and SIGTERM give running jobs back to the queue.')
    .action(reportingFaults(work));
}

async function work({ queue: url, jobs: workers, stalledAfter }: Flags): Promise<void> {
  using interrupt = listenForInterrupt(() => undefined);
  await serveQueue({
    url,
    workers,
    stalledAfter,
    stop: interrupt.stop,
    onBegin: (job) => console.error(`begins  ${labelOf(job)}`),
    onEnd: ({ job, outcome }) => console.error(`${outcomeText(outcome)}  ${labelOf(job)}`),
    onTrouble: (message) => console.error(`queue: ${message}`),
  });
}
