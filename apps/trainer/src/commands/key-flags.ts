// Flags that set a key of the configuration. What they may be is the schema's business, so nothing is checked here.
import { UsageError } from '../errors.ts';
import type { Setting } from '../resolve-config.ts';

export const keyFlags = [
  { flags: '--cell <name>', key: 'model.cell', description: 'memory cell' },
  { flags: '--memories <n>', key: 'model.memories', description: 'memories that the router chooses between' },
  { flags: '--top-k <n>', key: 'model.topK', description: 'memories that each token is written to' },
  { flags: '--steps <n>', key: 'training.steps', description: 'optimiser steps at most' },
  { flags: '--batch <n>', key: 'training.batch', description: 'sequences a step' },
  { flags: '--lr <rate>', key: 'optimizer.learningRate', description: 'peak learning rate' },
  { flags: '--seed <n>', key: 'training.seed', description: 'the first seed' },
  { flags: '--seeds <n>', key: 'training.seeds', description: 'how many seeds to run, one after the other' },
  { flags: '--file <path>', key: 'task.file', description: 'text to train on (task text)' },
  { flags: '--backend <name>', key: 'backend', description: 'auto, webgpu, webgpu-software, wasm or cpu' },
  {
    flags: '--log-every <n>',
    key: 'output.logEvery',
    description: 'steps between lines where output is no terminal',
  },
] as const;

/** The keys that were set by flags, of commander's options. */
export function settingsOf(options: object): Setting[] {
  const given = options as Record<string, string | undefined>;
  return keyFlags.flatMap(({ flags, key }) => {
    const flag = flags.split(' ')[0] as string;
    const name = flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const text = given[name];
    return text === undefined ? [] : [{ flag, key, value: key === 'task.file' ? text : parseValue(text) }];
  });
}

/** Collects repeated `--set key=value`. */
export function collectSets(text: string, earlier: Setting[] = []): Setting[] {
  const equals = text.indexOf('=');
  if (equals < 1) {
    const fix = 'Write key=value, e.g. --set model.width=64.';
    throw new UsageError([{ where: `--set ${text}`, message: 'names no key and value.', fix }]);
  }
  const key = text.slice(0, equals);
  return [...earlier, { flag: '--set', key, value: parseValue(text.slice(equals + 1)) }];
}

/** JSON where it is (numbers, true, lists), else the text itself. */
function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
