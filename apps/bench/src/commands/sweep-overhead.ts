// `bench sweep-overhead`: what the sweeps themselves cost.
import type { Command } from 'commander';
import { publish } from '../publish.ts';
import { formatOverhead, measureOverhead } from '../sweep/overhead.ts';
import { wholeNumber } from '../whole-number.ts';
import { reportingFaults } from './usage.ts';

interface Flags {
  readonly jobs: number;
  readonly queue?: string;
  readonly out?: string;
}

export function addSweepOverhead(program: Command): void {
  program
    .command('sweep-overhead')
    .description('what a sweep costs beside its jobs, and what further workers bring')
    .option('--jobs <n>', 'trivial jobs of each sweep', wholeNumber, 200)
    .option('--queue <url>', 'also through this Redis or Valkey, whose queue should be empty')
    .option('--out <path>', 'write <path>.md and <path>.json too')
    .action(
      reportingFaults(async ({ jobs, queue, out }: Flags) => {
        const result = await measureOverhead({ jobs, queue, onProgress: (text) => console.error(text) });
        await publish(result, formatOverhead(result), out);
      }),
    );
}
