#!/usr/bin/env node
// The benchmark command line.
import { readFile, writeFile } from 'node:fs/promises';
import { cellEntry, type CellName } from '@mnemix/cells';
import { closeBackend } from '@mnemix/tensor';
import { Command, Option } from 'commander';
import { benchBmojo, formatBmojoCost } from './bmojo-cost.ts';
import { catalogueTable, withTable } from './catalogue.ts';
import { benchCellCost, formatCellCost } from './cell-cost.ts';
import { addMad } from './commands/mad.ts';
import { addCompare } from './commands/compare.ts';
import { addQuick } from './commands/quick.ts';
import { addRecall } from './commands/recall.ts';
import { addKernels } from './commands/kernels.ts';
import { addLmGpu } from './commands/lm-gpu.ts';
import { addReport } from './commands/report.ts';
import { addSpeed } from './commands/speed.ts';
import { addSweepOverhead } from './commands/sweep-overhead.ts';
import { addSweepWorker } from './commands/sweep-worker.ts';
import { addWorker } from './commands/worker.ts';
import { benchCpu, formatCpu } from './cpu.ts';
import {
  formatRecallCheck,
  recallJobs,
  runRecall,
  type RecallJob,
  type RecallResult,
} from './recall-check.ts';
import { formatStudy } from './memory-study-report.ts';
import {
  runStudy,
  studyJobs,
  studyPresets,
  type StudyJob,
  type StudyName,
  type StudyResult,
} from './memory-study.ts';
import { publish } from './publish.ts';
import { sideBySide } from './side-by-side.ts';
import { wholeNumber } from './whole-number.ts';

/** Collects repeated `--only <cell>`. */
const cellNames = (name: string, earlier: CellName[] = []): CellName[] => {
  cellEntry('--only', name);
  return [...earlier, name as CellName];
};

interface RecallCheckFlags {
  readonly steps: number;
  readonly only?: CellName[];
  readonly journal?: string;
  readonly out?: string;
}

interface StudyFlags {
  readonly preset: StudyName;
  readonly seeds: number;
  readonly journal?: string;
  readonly out?: string;
}

const program = new Command('mnemix-bench').description('Benchmarks of mnemix.');

program
  .command('cpu')
  .description('training speed of a two-layer Mixture-of-Memories on the CPU, with the time of every kernel')
  .option('--steps <n>', 'steps to measure', wholeNumber, 20)
  .option('--backend <name>', 'wasm or cpu', 'wasm')
  .option('--threads <n>', 'threads of the WASM backend', wholeNumber, 1)
  .option('--out <path>', 'write <path>.md and <path>.json too')
  .action(
    async ({
      steps,
      backend,
      threads,
      out,
    }: {
      steps: number;
      backend: 'wasm' | 'cpu';
      threads: number;
      out?: string;
    }) => {
      const result = await benchCpu({ steps, backend, threads });
      await publish(result, formatCpu(result), out);
    },
  );

program
  .command('cells')
  .description('what each memory cell costs on the CPU, as a multiple of plain linear attention')
  .option('--rounds <n>', 'rounds of each measurement', wholeNumber, 15)
  .option('--only <cell>', 'measure this cell alone; may be repeated', cellNames)
  .option('--out <path>', 'write <path>.md and <path>.json too')
  .action(async ({ rounds, only, out }: { rounds: number; only?: CellName[]; out?: string }) => {
    const onCell = ({ cell, training }: { cell: CellName; training: { ratio: { median: number } } }) =>
      console.error(`${cell.padEnd(24)}${training.ratio.median.toFixed(1)} × linear attention`);
    const result = await benchCellCost({ rounds, onCell, ...(only ? { only } : {}) });
    await publish(result, formatCellCost(result), out);
  });

program
  .command('bmojo')
  .description("what B'MOJO costs on the CPU beside a window of the same span, and over a long stream")
  .option('--rounds <n>', 'rounds of each measurement', wholeNumber, 9)
  .option('--tokens <n>', 'tokens of the stream', wholeNumber, 100_000)
  .option('--out <path>', 'write <path>.md and <path>.json too')
  .action(async ({ rounds, tokens, out }: { rounds: number; tokens: number; out?: string }) => {
    const result = await benchBmojo({ rounds, tokens, onProgress: (line) => console.error(line) });
    await publish(result, formatBmojoCost(result), out);
  });

program
  .command('recall-check')
  .description('whether each memory cell learns associative recall, alone and in a Mixture-of-Memories')
  .option('--steps <n>', 'training steps at most', wholeNumber, 2500)
  .option('--only <cell>', 'train this cell alone; may be repeated', cellNames)
  .option('--journal <path>', 'keep each result here as it comes, and go on from what is there')
  .option('--out <path>', 'write <path>.md and <path>.json too')
  .action(async ({ steps, only, journal, out }: RecallCheckFlags) => {
    const results = await sideBySide<RecallJob, RecallResult>({
      jobs: recallJobs(only),
      argumentsOf: ({ cell, routed }) => ['recall-job', cell, String(routed), '--steps', String(steps)],
      onResult: ({ cell, routed, accuracy, steps: taken, seconds }) =>
        console.error(
          `${cell.padEnd(24)}${routed ? 'mom  ' : 'alone'}  ${(100 * accuracy).toFixed(1).padStart(5)} %  ` +
            `${taken} steps  ${seconds.toFixed(0)} s`,
        ),
      journal,
    });
    await publish(results, formatRecallCheck(results, { steps }), out);
    if (results.some(({ reached }) => !reached)) process.exitCode = 1;
  });

program
  .command('recall-job <cell> <routed>', { hidden: true })
  .option('--steps <n>', '', wholeNumber, 2500)
  .action(async (cell: CellName, routed: string, { steps }: { steps: number }) => {
    console.log(JSON.stringify(await runRecall({ cell, routed: routed === 'true' }, { steps })));
  });

program
  .command('memory-study')
  .description('recall against bytes of state: windows, recurrences, eidetic slots and what to keep in them')
  .addOption(new Option('--preset <name>', 'which study').choices(Object.keys(studyPresets)).default('cpu'))
  .option('--seeds <n>', 'seeds of each model', wholeNumber, 1)
  .option('--journal <path>', 'keep each result here as it comes, and go on from what is there')
  .option('--out <path>', 'write <path>.md and <path>.json too')
  .action(async ({ preset, seeds, journal, out }: StudyFlags) => {
    const results = await sideBySide<StudyJob, StudyResult>({
      jobs: studyJobs(preset, seeds),
      argumentsOf: (job) => ['memory-study-job', JSON.stringify(job)],
      onResult: ({ kind, slots = '', policy = '', fill, accuracies, seconds }) =>
        console.error(
          `${`${kind} ${slots} ${policy}`.padEnd(28)}${fill.padEnd(8)}` +
            `${accuracies.map((share) => (100 * share).toFixed(1).padStart(6)).join('')} %  ${seconds.toFixed(0)} s`,
        ),
      journal,
    });
    await publish(results, formatStudy(preset, results), out);
  });

program.command('memory-study-job <job>', { hidden: true }).action(async (job: string) => {
  console.log(JSON.stringify(await runStudy(JSON.parse(job) as StudyJob)));
});

addKernels(program);
addLmGpu(program);
addQuick(program);
addSpeed(program);
addReport(program);
addRecall(program);
addCompare(program);
addMad(program);
addSweepOverhead(program);
addWorker(program);
addSweepWorker(program);

program
  .command('catalogue')
  .description('the memory cells as a Markdown table')
  .option('--write <file>', 'put it between the marks of this file instead of printing it')
  .action(async ({ write }: { write?: string }) => {
    if (write === undefined) console.log(catalogueTable());
    else await writeFile(write, withTable(await readFile(write, 'utf8'), catalogueTable()));
  });

try {
  await program.parseAsync();
} finally {
  // Threads would keep the process alive.
  await closeBackend();
}
