// mnemix resume: a job that was stopped continues as if it had not been.
import { Command } from 'commander';
import { runJob } from '../job.ts';
import { buildParts } from '../parts.ts';
import { readRunFolder } from '../run-folder.ts';

/** @param exit told the exit code: an interrupted run has one of its own */
export function resumeCommand(exit: (code: number) => void): Command {
  return new Command('resume')
    .description(
      'Continue a run that was interrupted, from its newest checkpoint; bit for bit on the same backend.',
    )
    .argument('<folder>', 'the run folder')
    .addHelpText(
      'after',
      `
Runs of a job that have ended are not run again. After a kill -9 nothing needs to be mended by hand.

Example:
  $ mnemix resume runs/recall-2026-01-31T12-00-00`,
    )
    .action(async (folder: string) => {
      const config = await readRunFolder(folder);
      exit(await runJob(folder, config, { screen: process.stdout, build: buildParts }));
    });
}
