#!/usr/bin/env node
// The program `mnemix`.
import { closeBackend } from '@mnemix/tensor';
import { runCommand } from './run-command.ts';

process.exitCode = await runCommand(process.argv.slice(2));
// Threads and devices would keep the process alive.
await closeBackend();
