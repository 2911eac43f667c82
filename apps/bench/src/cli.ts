#!/usr/bin/env node
// The benchmark command line.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cellEntry, type CellName } from '@mnemix/cells';
import { closeBackend } from '@mnemix/tensor';
import { Command, InvalidArgumentError } from 'commander';
import { catalogueTable, withTable } from './catalogue.ts';
import { benchCellCost, formatCellCost } from './cell-cost.ts';
import { benchCpu, formatCpu } from './cpu.ts';
import {
  formatRecallCheck,
  recallJobs,
  runRecall,
  type RecallJob,
  type RecallResult,
} from './recall-check.ts';
import { sideBySide } from './side-by-side.ts';

const wholeNumber = (text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('Use a whole number from 1 on.');
};

/** Collects repeated `--only <cell>`. */
const cellNames = (name: string, earlier: CellName[] = []): CellName[] => {
  cellEntry('--only', name);
  return [...earlier, name as CellName];
};

/** Prints the text, and writes it and the result beside each other where asked to. */
async function publish(result: unknown, text: string, out: string | undefined): Promise<void> {
  console.log(text);
  if (out === undefined) return;
  await mkdir(dirname(out), { recursive: true });
  await writeFile(`${out}.json`, `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(`${out}.md`, text);
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
  .command('recall-check')
  .description('whether each memory cell learns associative recall, alone and in a Mixture-of-Memories')
  .option('--steps <n>', 'training steps at most', wholeNumber, 1500)
  .option('--only <cell>', 'train this cell alone; may be repeated', cellNames)
  .option('--out <path>', 'write <path>.md and <path>.json too')
  .action(async ({ steps, only, out }: { steps: number; only?: CellName[]; out?: string }) => {
    const results = await sideBySide<RecallJob, RecallResult>(
      recallJobs(only),
      ({ cell, routed }) => ['recall-job', cell, String(routed), '--steps', String(steps)],
      ({ cell, routed, accuracy, steps: taken, seconds }) =>
        console.error(
          `${cell.padEnd(24)}${routed ? 'mom  ' : 'alone'}  ${(100 * accuracy).toFixed(1).padStart(5)} %  ` +
            `${taken} steps  ${seconds.toFixed(0)} s`,
        ),
    );
    await publish(results, formatRecallCheck(results, { steps }), out);
    if (results.some(({ reached }) => !reached)) process.exitCode = 1;
  });

program
  .command('recall-job <cell> <routed>', { hidden: true })
  .option('--steps <n>', '', wholeNumber, 1500)
  .action(async (cell: CellName, routed: string, { steps }: { steps: number }) => {
    console.log(JSON.stringify(await runRecall({ cell, routed: routed === 'true' }, { steps })));
  });

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
