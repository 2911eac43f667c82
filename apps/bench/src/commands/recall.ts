// `bench recall`: a sweep, from where it was left.
import { Option, type Command } from 'commander';
import { jobsOf } from '../sweep/expand.ts';
import { UsageError } from '../sweep/faults.ts';
import { presetNames, readPreset, readSweep } from '../sweep/read-sweep.ts';
import { sweepJsonSchema } from '../sweep/schema.ts';
import { addRunFlags, runSweep, type RunFlags } from './run-sweep.ts';
import { reportingFaults } from './usage.ts';

interface Flags extends RunFlags {
  readonly sweep?: string;
  readonly preset?: string;
  readonly schema: boolean;
}

/** Begins nothing before the whole sweep has been checked. */
export function addRecall(program: Command): void {
  const command = program
    .command('recall')
    .description('trains every model of a sweep on its tasks; goes on from the results that are there')
    .addOption(new Option('--preset <name>', 'a sweep of this package').choices(presetNames()))
    .option('--sweep <file>', 'a sweep of your own, as JSON')
    .option('--schema', 'print the JSON Schema of sweep files, with all keys', false);
  addRunFlags(command).action(reportingFaults(recall));
}

async function recall(flags: Flags): Promise<void> {
  if (flags.schema) {
    console.log(JSON.stringify(sweepJsonSchema(), null, 2));
    return;
  }
  const raw = readNamed(flags);
  await runSweep((raw as { name?: string }).name ?? 'sweep', jobsOf(raw), flags);
}

/** @throws UsageError unless exactly one sweep is named */
function readNamed({ sweep, preset }: Flags): unknown {
  if (sweep !== undefined && preset === undefined) return readSweep(sweep);
  if (preset !== undefined && sweep === undefined) return readPreset(preset);
  throw new UsageError([
    {
      where: 'recall',
      message: sweep === undefined ? 'it is not said which sweep to run.' : 'there are two sweeps.',
      fix: `Use either --sweep <file> or --preset <${presetNames().join(' | ')}>.`,
    },
  ]);
}
