// Models whose blocks are not all memories: attention, B'MOJO, and hybrids.
import { join } from 'node:path';
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Config, ConfigInput } from '../src/config.ts';
import { buildParts } from '../src/parts.ts';
import { checkConfig } from '../src/resolve-config.ts';
import { sizeOf, type Size } from '../src/result.ts';
import { createRunFolder } from '../src/run-folder.ts';
import { describeRun } from '../src/summary.ts';
import { train } from '../src/train.ts';
import { temporaryFolder } from './folder.ts';
import { newestCheckpoint, timelessLog } from './run-bigram.ts';

const TOKENS = 16;

const tiny = (model: ConfigInput['model']): Config =>
  checkConfig({
    backend: 'wasm',
    task: { kind: 'recall', tokens: TOKENS, pairs: 2, vocabSize: 20 },
    model: { width: 8, layers: 2, keyWidth: 4, memories: 1, topK: 1, shared: false, ...model },
    training: { steps: 6, batch: 4, evalEvery: 3, evalSequences: 4 },
    output: { tensorboard: false, saveEvery: 2 },
  });

const bmojo = { window: 4, eidetic: { slots: 3, span: 1 } };

const sizeFor = async (config: Config): Promise<Size> => sizeOf(await buildParts(config), config.model);

beforeAll(async () => {
  await openBackend('wasm');
});

describe('a run of', () => {
  async function run(folder: string, config: Config, stopAfter = Infinity) {
    let steps = 0;
    const interrupt = {
      get requested() {
        return steps >= stopAfter ? ('SIGINT' as const) : undefined;
      },
    };
    const progress = { step: () => void steps++, note: () => {} };
    return train({ folder, config, label: '' }, await buildParts(config), { progress, interrupt });
  }

  it.each<[name: string, model: ConfigInput['model']]>([
    ["B'MOJO", { pattern: ['bmojo'], bmojo }],
    ['a hybrid', { pattern: ['attention', 'bmojo'], attention: { window: 4 }, bmojo: { window: 4 } }],
    ["B'MOJO over a Mixture-of-Memories", { pattern: ['bmojo'], bmojo, memories: 3, topK: 2, shared: true }],
  ])('%s is resumed to the same end', async (_, model) => {
    const config = tiny(model);
    const [straight, stopped] = ['straight', 'stopped'].map((name) => join(temporaryFolder(), name)) as [
      string,
      string,
    ];
    for (const folder of [straight, stopped]) await createRunFolder(folder, config);
    const end = await run(straight, config);
    expect(await run(stopped, config, 3)).toMatchObject({ ended: 'interrupted', step: 3 });
    expect((await run(stopped, config)).unseen).toEqual(end.unseen);
    expect((await newestCheckpoint(stopped)).equals(await newestCheckpoint(straight))).toBe(true);
    expect(await timelessLog(stopped)).toEqual(await timelessLog(straight));
  });
});

describe('the state of one sequence', () => {
  const FLOAT = 4;
  const WIDTH = 8;

  it('is, with attention, that after all its tokens', async () => {
    const attention = (window?: number): Config =>
      tiny({ layers: 1, pattern: ['attention'], attention: { ...(window && { window }) } });
    // Keys and values, and how many tokens there were.
    expect((await sizeFor(attention())).stateBytes).toBe((2 * TOKENS * WIDTH + 1) * FLOAT);
    expect((await sizeFor(attention(4))).stateBytes).toBe((2 * 3 * WIDTH + 1) * FLOAT);
  });

  it('is left alone by a token in the memories that it is not routed to, and nowhere else', async () => {
    const memories = { memories: 4, topK: 1, shared: true };
    const idle = ({ stateBytes, activatedStateBytes }: Size): number => stateBytes - activatedStateBytes;
    const ofMemory = await sizeFor(tiny({ layers: 1, ...memories }));
    // Three of five.
    expect(idle(ofMemory)).toBe((ofMemory.stateBytes * 3) / 5);
    const pattern = ['bmojo', 'attention', 'memory'] as const;
    const mixed = await sizeFor(tiny({ layers: 3, pattern: [...pattern], bmojo, ...memories }));
    expect(idle(mixed)).toBe(2 * idle(ofMemory));
    expect(mixed.activated).toBeLessThan(mixed.total);
  });
});

describe('what is printed of a model', () => {
  it.each<[text: string, model: ConfigInput['model']]>([
    ['2 layers of width 8: gated_delta_net', {}],
    ['2 layers of width 8: attention', { pattern: ['attention'] }],
    [
      "2 layers of width 8: B'MOJO with a window of 4 and 3 slots over gated_delta_net",
      { pattern: ['bmojo'], bmojo },
    ],
    [
      "3 layers of width 8: 2 × B'MOJO-F with a window of 32 over 4 gla memories, top-2 + 1 × attention within a window of 4",
      {
        layers: 3,
        pattern: ['bmojo', 'attention'],
        attention: { window: 4 },
        cell: 'gla',
        memories: 4,
        topK: 2,
      },
    ],
  ])('says %s', async (text, model) => {
    const config = tiny(model);
    const parts = await buildParts(config);
    const printed = describeRun({ config, folder: 'run', label: '' }, parts, sizeOf(parts, config.model));
    expect(printed).toContain(`model       ${text}\n`);
  });
});
