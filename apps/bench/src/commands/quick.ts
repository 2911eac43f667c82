// `bench quick`: a selection of everything that ends in minutes, and its report.
import { mkdir, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { reportContent } from '../report/content.ts';
import { benchSpeed } from '../speed.ts';
import { jobsOf } from '../sweep/expand.ts';
import { readPreset } from '../sweep/read-sweep.ts';
import { writeReport } from './report.ts';
import { runSweep } from './run-sweep.ts';
import { reportingFaults } from './usage.ts';

const ROUNDS = 3;
const CONTEXTS = [64, 512, 2048];
const MIXERS = [
  'window',
  'gla',
  'delta_net',
  'gated_delta_net',
  'mom gated_delta_net',
  'bmojo gated_delta_net',
];

/** Recall, speed and the report of both. */
export function addQuick(program: Command): void {
  program
    .command('quick')
    .description('a selection of recall and speed in under ten minutes on two cores, with its report')
    .option('--out <folder>', 'where results and report go; a second run goes on from there', 'runs/bench')
    .action(reportingFaults(quick));
}

async function quick({ out }: { out: string }): Promise<void> {
  await mkdir(out, { recursive: true });
  const records = await runSweep('quick', jobsOf(readPreset('quick')), {
    out: `${out}/recall.jsonl`,
    priority: 1000,
    retryFailed: false,
    dryRun: false,
  });
  if (process.exitCode === 130) return;
  const speed = await benchSpeed({
    rounds: ROUNDS,
    contexts: CONTEXTS,
    only: MIXERS,
    onMixer: ({ mixer }) => console.error(`speed of ${mixer}: measured`),
  });
  await writeFile(`${out}/speed.json`, `${JSON.stringify(speed, null, 2)}\n`);
  await writeReport(
    reportContent({ records, speed }),
    'Recall against memory, a quick look',
    `${out}/report`,
  );
  console.log(`${out}/report.html, ${out}/report.md`);
}
