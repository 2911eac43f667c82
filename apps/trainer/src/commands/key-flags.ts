// Flags that set a key of the configuration. What they may be is the schema's business, so nothing is checked here.
import { UsageError } from '../errors.ts';
import type { Setting } from '../resolve-config.ts';

interface KeyFlag {
  readonly flags: string;
  readonly keys: readonly string[];
  readonly description: string;
  /** How its text is read; left out: as JSON where it is JSON. */
  readonly parse?: (text: string) => unknown;
}

export const keyFlags: readonly KeyFlag[] = [
  { flags: '--cell <name>', keys: ['model.cell'], description: 'memory cell' },
  { flags: '--key-width <n>', keys: ['model.keyWidth'], description: 'key width of a head of the cell' },
  {
    flags: '--value-width <n>',
    keys: ['model.valueWidth'],
    description: 'value width of a head of the cell',
  },
  {
    flags: '--memories <n>',
    keys: ['model.memories'],
    description: 'memories that the router chooses between',
  },
  { flags: '--top-k <n>', keys: ['model.topK'], description: 'memories that each token is written to' },
  {
    flags: '--pattern <kinds>',
    keys: ['model.pattern'],
    description: 'what the blocks are, in turn: memory, attention, bmojo; e.g. memory,bmojo',
    parse: (text) => text.split(','),
  },
  {
    flags: '--window <n>',
    keys: ['model.attention.window', 'model.bmojo.window'],
    description: "window of attention and of B'MOJO, in tokens",
  },
  { flags: '--slots <n>', keys: ['model.bmojo.eidetic.slots'], description: "tokens that B'MOJO keeps" },
  { flags: '--steps <n>', keys: ['training.steps'], description: 'optimiser steps at most' },
  { flags: '--batch <n>', keys: ['training.batch'], description: 'sequences a step' },
  { flags: '--lr <rate>', keys: ['optimizer.learningRate'], description: 'peak learning rate' },
  { flags: '--seed <n>', keys: ['training.seed'], description: 'the first seed' },
  {
    flags: '--seeds <n>',
    keys: ['training.seeds'],
    description: 'how many seeds to run, one after the other',
  },
  {
    flags: '--file <path>',
    keys: ['task.file'],
    description: 'text to train on (task text)',
    parse: (text) => text,
  },
  { flags: '--backend <name>', keys: ['backend'], description: 'auto, webgpu, webgpu-software, wasm or cpu' },
  {
    flags: '--log-every <n>',
    keys: ['output.logEvery'],
    description: 'steps between lines where output is no terminal',
  },
];

/** The keys that were set by flags, of commander's options. */
export function settingsOf(options: object): Setting[] {
  const given = options as Record<string, string | undefined>;
  return keyFlags.flatMap(({ flags, keys, parse = parseValue }) => {
    const flag = flags.split(' ')[0] as string;
    const name = flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const text = given[name];
    return text === undefined ? [] : keys.map((key) => ({ flag, key, value: parse(text) }));
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
