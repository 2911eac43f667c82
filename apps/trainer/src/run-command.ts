// The command line: from its words to an exit code.
import { Command, CommanderError } from 'commander';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { resumeCommand } from './commands/resume.ts';
import { schemaCommand } from './commands/schema.ts';
import { trainCommand } from './commands/train.ts';
import { describeError, exitCodes, UsageError } from './errors.ts';

/** Runs one command. Whatever goes wrong is printed, not thrown. */
export async function runCommand(words: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.done;
  const program = new Command('mnemix')
    .description('Train and try Mixture-of-Memories and linear-attention models.')
    .option('--debug', 'print the stack of an error')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 failed, 2 wrong usage, 130 or 143 interrupted (and saved).',
    );
  const commands = [trainCommand, resumeCommand, evalCommand, generateCommand, doctorCommand, schemaCommand];
  for (const command of commands) program.addCommand(command((code) => (exitCode = code)));
  for (const command of [program, ...program.commands]) takeOurForm(command);
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    const described = describeError(error, { debug: words.includes('--debug') });
    console.error(described.text);
    return described.exitCode;
  }
}

/** Commander's complaints become usage errors like all others; its help still passes. */
function takeOurForm(command: Command): void {
  const path = command.name() === 'mnemix' ? 'mnemix' : `mnemix ${command.name()}`;
  command.configureOutput({ outputError: () => {} }).exitOverride((error) => {
    if (error.exitCode === 0) throw error;
    const text = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
    throw new UsageError([{ where: path, message: `${text}.`, fix: `See \`${path} --help\`.` }]);
  });
}
