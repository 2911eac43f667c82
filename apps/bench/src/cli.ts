#!/usr/bin/env node
// The benchmark command line.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { closeBackend } from '@mnemix/tensor';
import { Command, InvalidArgumentError } from 'commander';
import { benchCpu, formatCpu } from './cpu.ts';

const wholeNumber = (text: string): number => {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('Use a whole number from 1 on.');
};

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
      const text = formatCpu(result);
      console.log(text);
      if (out !== undefined) {
        await mkdir(dirname(out), { recursive: true });
        await writeFile(`${out}.json`, `${JSON.stringify(result, null, 2)}\n`);
        await writeFile(`${out}.md`, text);
      }
    },
  );

try {
  await program.parseAsync();
} finally {
  // Threads would keep the process alive.
  await closeBackend();
}
