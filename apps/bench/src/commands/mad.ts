// `bench mad`: the MAD benchmark over any mixers.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { madJobs, madScales, type MadOptions } from '../mad/jobs.ts';
import { madScores, madTable, madTaskNames } from '../mad/score.ts';
import { wholeNumber } from '../whole-number.ts';
import { addRunFlags, runSweep, type RunFlags } from './run-sweep.ts';
import { reportingFaults } from './usage.ts';

type MadTask = keyof typeof madTaskNames;

interface Flags extends RunFlags {
  readonly mixer: readonly string[];
  readonly task: readonly MadTask[];
  readonly scale: MadOptions['scale'];
  readonly variations: boolean;
  readonly seeds: number;
  readonly backend: MadOptions['backend'];
}

const MIXERS = ['attention', 'gla', 'mamba2', 'delta_net', 'gated_delta_net', 'mom gated_delta_net'];
const TASKS = Object.keys(madTaskNames) as readonly MadTask[];

/** A repeated option's values; the first one given replaces the default. */
const collected =
  <T extends string>(known?: readonly T[]) =>
  (value: string, earlier: readonly T[] | undefined): readonly T[] => {
    if (known && !known.includes(value as T))
      throw new InvalidArgumentError(`Use one of: ${known.join(', ')}.`);
    return [...(earlier ?? []), value as T];
  };

/** Begins nothing before all jobs have been checked. */
export function addMad(program: Command): void {
  const command = program
    .command('mad')
    .description('the six MAD tasks, each with its decoder and its score, over any mixers')
    .option(
      `--mixer <line>`,
      `a mixer, as in a sweep; may be repeated (default: ${MIXERS.join('; ')})`,
      collected(),
    )
    .option('--task <name>', `one task; may be repeated (default: ${TASKS.join(', ')})`, collected(TASKS))
    .addOption(
      new Option('--scale <name>', 'paper: width 128, 200 epochs, a grid of six; small: minutes on a CPU')
        .choices(Object.keys(madScales))
        .default('small'),
    )
    .option('--variations', 'all 66 settings, not the six baselines alone', false)
    .option('--seeds <n>', 'trainings of each, from seed 1 on', wholeNumber, 1)
    .addOption(
      new Option('--backend <name>', 'where to compute').choices(['wasm', 'webgpu']).default('wasm'),
    );
  addRunFlags(command).action(reportingFaults(mad));
}

async function mad({
  mixer = MIXERS,
  task = TASKS,
  scale,
  variations,
  seeds,
  backend,
  ...flags
}: Flags): Promise<void> {
  const jobs = madJobs({
    mixers: mixer,
    tasks: task,
    variations,
    scale,
    seeds: Array.from({ length: seeds }, (_, i) => i + 1),
    backend,
  });
  const records = await runSweep('mad', jobs, flags);
  if (records.length === 0) return;
  const { head, rows } = madTable(madScores(records));
  console.log([head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n'));
}
