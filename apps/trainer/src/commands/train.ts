// mnemix train: a new job, from a preset or a configuration file.
import { Command } from 'commander';
import { cells } from '@mnemix/cells';
import { runJob } from '../job.ts';
import { checkJob } from '../check-job.ts';
import { buildParts } from '../parts.ts';
import { presets } from '../presets/index.ts';
import { resolveConfig, type Setting } from '../resolve-config.ts';
import { checkFree, createRunFolder, defaultFolder } from '../run-folder.ts';
import { collectSets, keyFlags, settingsOf } from './key-flags.ts';

/** @param exit told the exit code: an interrupted run has one of its own */
export function trainCommand(exit: (code: number) => void): Command {
  const command = new Command('train')
    .description('Train on a preset or a configuration file. Without either: the preset "recall".')
    .argument('[config]', `a preset (${Object.keys(presets).join(', ')}) or a JSON file`, 'recall')
    .option('--out <folder>', 'run folder (default: runs/<name>-<time>)')
    .option(
      '--set <key=value>',
      'any key of the configuration, e.g. model.width=64; may be repeated',
      collectSets,
    )
    .option('--trace <file>', 'on a GPU: write a trace of one step, which ui.perfetto.dev opens');
  for (const { flags, description } of keyFlags) command.option(flags, description);
  command.addHelpText(
    'after',
    `
Flags override the configuration. Every key, its meaning and its default: README, or config.schema.json in an editor.
Memory cells: ${Object.keys(cells).join(', ')}.

Examples:
  $ mnemix train                                   a Mixture-of-Memories learns to recall, beside a single memory
  $ mnemix train recall --cell gla --seeds 3       the same with another memory cell, three seeds
  $ mnemix train bmojo                             B'MOJO recalls what its window no longer shows
  $ mnemix train text --file book.txt --steps 500  a small language model of your own text
  $ mnemix train my.json --set optimizer.clipNorm=0.5  a configuration of your own`,
  );
  return command.action(
    async (source: string, options: { out?: string; set?: Setting[]; trace?: string }) => {
      const config = resolveConfig(source, [...settingsOf(options), ...(options.set ?? [])]);
      const folder = options.out ?? defaultFolder(config.name);
      await checkFree(folder);
      await checkJob(config, buildParts);
      await createRunFolder(folder, config);
      const { trace } = options;
      exit(await runJob(folder, config, { screen: process.stdout, build: buildParts, trace }));
    },
  );
}
