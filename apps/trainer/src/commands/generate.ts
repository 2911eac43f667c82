// mnemix generate: what a trained model says next.
import { Command, Option } from 'commander';
import { generate, type GenerateOptions } from '@mnemix/lm';
import { disposeTree, Rng } from '@mnemix/tensor';
import { UsageError } from '../errors.ts';
import { openDevice } from '../parts.ts';
import { loadTrained, type Which } from '../trained.ts';
import { backendOption, type BackendOption } from './backend-option.ts';
import { numberFor, parseIds } from './numbers.ts';

interface GenerateFlags extends BackendOption {
  readonly prompt?: string;
  readonly promptIds?: number[];
  readonly tokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  readonly checkpoint: Which;
}

export function generateCommand(): Command {
  return new Command('generate')
    .description(
      'Continue a prompt with a trained model. Prints text, or token ids where there is no tokenizer.',
    )
    .argument(
      '<checkpoint>',
      'a folder with config.json and safetensors as fla saves it, a run folder, or a checkpoint file',
    )
    .option('--prompt <text>', 'text to continue (needs a tokenizer)')
    .option('--prompt-ids <ids>', 'token ids to continue, e.g. 1,2,3', parseIds)
    .option('--tokens <n>', 'how many tokens', numberFor('--tokens', { least: 1, whole: true }), 64)
    .option(
      '--temperature <t>',
      '0: always the most likely token',
      numberFor('--temperature', { least: 0 }),
      0,
    )
    .option(
      '--top-k <n>',
      'draw from the n most likely tokens',
      numberFor('--top-k', { least: 1, whole: true }),
    )
    .option(
      '--top-p <p>',
      'draw from the likeliest tokens of this mass',
      numberFor('--top-p', { least: 0, most: 1 }),
    )
    .option('--seed <n>', 'seed of the draws', numberFor('--seed', { least: 0, whole: true }), 0)
    .addOption(
      new Option('--checkpoint <which>', 'of a run folder').choices(['best', 'last']).default('best'),
    )
    .addOption(backendOption())
    .addHelpText(
      'after',
      `
Examples:
  $ mnemix generate models/mom --prompt-ids 12,5,99 --tokens 24
  $ mnemix generate runs/text-2026-01-31T12-00-00 --prompt "It was" --temperature 0.8 --top-p 0.95`,
    )
    .action(async (path: string, flags: GenerateFlags) => {
      checkPrompt(flags);
      await openDevice(flags);
      const { model, params, tokenizer } = await loadTrained(path, flags.checkpoint);
      if (flags.prompt !== undefined && tokenizer === undefined) {
        const fix = 'Pass token ids with --prompt-ids.';
        throw new UsageError([{ where: '--prompt', message: `${path} has no tokenizer.`, fix }]);
      }
      const prompt = flags.promptIds ?? Array.from(tokenizer?.encode(flags.prompt as string) ?? []);
      const { tokens: maxTokens, temperature, topK, topP } = flags;
      const options: GenerateOptions = { maxTokens, temperature, topK, topP, rng: Rng.of(flags.seed) };
      const ids: number[] = [];
      for await (const id of generate(model, params, prompt, options)) ids.push(id);
      disposeTree(params);
      console.log(flags.prompt === undefined ? ids.join(',') : flags.prompt + tokenizer?.decode(ids));
    });
}

function checkPrompt({ prompt, promptIds }: GenerateFlags): void {
  const given = [prompt, promptIds].filter((value) => value !== undefined && value.length > 0).length;
  if (given === 1) return;
  const message = given === 0 ? 'there is no prompt.' : 'there are two prompts.';
  throw new UsageError([{ where: 'mnemix generate', message, fix: 'Give either --prompt or --prompt-ids.' }]);
}
