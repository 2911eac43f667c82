#!/usr/bin/env node
// The command line.
import { closeBackend } from '@mnemix/tensor';
import { Command } from 'commander';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { resumeCommand } from './commands/resume.ts';
import { trainCommand } from './commands/train.ts';
import { describeError, UsageError } from './errors.ts';

const program = new Command('mnemix')
  .description('Train and try Mixture-of-Memories and linear-attention models.')
  .option('--debug', 'print the stack of an error')
  .addHelpText('after', '\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 or 143 interrupted (and saved).');

for (const command of [trainCommand(), resumeCommand(), evalCommand(), generateCommand(), doctorCommand()]) {
  program.addCommand(command);
}

// Commander's complaints take the form of all others.
for (const command of [program, ...program.commands]) {
  const path = command === program ? 'mnemix' : `mnemix ${command.name()}`;
  command.configureOutput({ outputError: () => {} }).exitOverride(({ exitCode, message }) => {
    if (exitCode === 0) process.exit(0);
    const text = message.replace(/^error: /, '').replaceAll('\n', ' ');
    throw new UsageError([{ where: path, message: `${text}.`, fix: `See \`${path} --help\`.` }]);
  });
}

try {
  await program.parseAsync();
} catch (error) {
  const { text, exitCode } = describeError(error, { debug: process.argv.includes('--debug') });
  console.error(text);
  process.exitCode = exitCode;
} finally {
  // Threads and devices would keep the process alive.
  await closeBackend();
}
