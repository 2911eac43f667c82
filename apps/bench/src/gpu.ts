#!/usr/bin/env node
// The benchmarks of a GPU alone: one entry that bundles into one file, for machines without the rest.
import { closeBackend } from '@mnemix/tensor';
import { Command } from 'commander';
import { addKernels } from './commands/kernels.ts';
import { addLmGpu } from './commands/lm-gpu.ts';

const program = new Command('mnemix-bench-gpu').description('Benchmarks of mnemix on a GPU.');
addKernels(program);
addLmGpu(program);

try {
  await program.parseAsync();
} finally {
  // An open device would keep the process alive.
  await closeBackend();
}
