// The trainer with what it is for: a Mixture-of-Memories, as small as it gets.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memory, MnemixError, openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints } from '../src/checkpoint.ts';
import type { Config, ConfigInput } from '../src/config.ts';
import { buildParts } from '../src/parts.ts';
import { checkConfig } from '../src/resolve-config.ts';
import { createRunFolder, inFolder, readRunFolder } from '../src/run-folder.ts';
import { train, type TrainingEnd } from '../src/train.ts';
import { temporaryFolder } from './folder.ts';
import { newestCheckpoint, timelessLog } from './run-bigram.ts';

const tinyMom = (changes: Partial<ConfigInput> = {}): Config =>
  checkConfig({
    backend: 'wasm',
    task: { kind: 'recall', tokens: 8, pairs: 2, vocabSize: 16 },
    model: { width: 8, layers: 1, keyWidth: 4, memories: 4, topK: 2 },
    training: { steps: 20, batch: 4, evalEvery: 8, evalSequences: 8 },
    ...changes,
    output: { tensorboard: false, saveEvery: 4, ...changes.output },
  });

async function run(folder: string, config: Config, stopAfter = Infinity): Promise<TrainingEnd> {
  let steps = 0;
  const interrupt = {
    get requested() {
      return steps >= stopAfter ? ('SIGINT' as const) : undefined;
    },
  };
  const progress = { step: () => void steps++, note: () => {} };
  return train({ folder, config, label: '' }, await buildParts(config), { progress, interrupt });
}

beforeAll(async () => {
  await openBackend('wasm');
});

describe('a run of a Mixture-of-Memories', () => {
  it('of 10 steps and 10 more after resuming ends with the parameters and losses of 20 in a row', async () => {
    const [straight, stopped] = ['straight', 'stopped'].map((name) => join(temporaryFolder(), name));
    const config = tinyMom();
    for (const folder of [straight, stopped]) await createRunFolder(folder as string, config);
    expect(await run(straight as string, config)).toMatchObject({ ended: 'steps', step: 20 });
    expect(await run(stopped as string, config, 10)).toMatchObject({ ended: 'interrupted', step: 10 });
    expect(await run(stopped as string, await readRunFolder(stopped as string))).toMatchObject({ step: 20 });
    const [expected, found] = [
      await newestCheckpoint(straight as string),
      await newestCheckpoint(stopped as string),
    ];
    expect(found.equals(expected)).toBe(true);
    expect(await timelessLog(stopped as string)).toEqual(await timelessLog(straight as string));
  });

  it('of text is resumed to the same end too', async () => {
    const text = join(temporaryFolder(), 'text.txt');
    writeFileSync(text, 'The sea is calm to-night. The tide is full, the moon lies fair. '.repeat(20));
    const config = tinyMom({ task: { kind: 'text', file: text, tokens: 8 } });
    const [straight, stopped] = ['straight', 'stopped'].map((name) => join(temporaryFolder(), name));
    for (const folder of [straight, stopped]) await createRunFolder(folder as string, config);
    const end = await run(straight as string, config);
    await run(stopped as string, config, 7);
    expect((await run(stopped as string, config)).unseen).toEqual(end.unseen);
    expect(await timelessLog(stopped as string)).toEqual(await timelessLog(straight as string));
  });

  it('whose learning rate makes it diverge names step, tensor and checkpoint, and leaks nothing', async () => {
    const folder = join(temporaryFolder(), 'diverging');
    const config = tinyMom({ optimizer: { schedule: 'constant' } });
    await createRunFolder(folder, config);
    await run(folder, config, 4);
    const before = memory().numTensors;
    const wild = { ...config, optimizer: { ...config.optimizer, learningRate: 1e38 } };
    const error = await run(folder, wild).then(
      () => undefined,
      (reason: unknown) => reason as MnemixError,
    );
    expect(error).toBeInstanceOf(MnemixError);
    expect(error).toMatchObject({ code: 'diverged', where: expect.stringMatching(/^step [5-9]$/) as string });
    expect(error?.message).toMatch(
      /the first tensor that is not finite is the (parameter|gradient of) (model|lm_head)\./,
    );
    const [good] = await listCheckpoints(inFolder(folder).checkpoints);
    expect(error?.message).toContain(`The last good checkpoint is ${good}.`);
    expect(readFileSync(good as string).length).toBeGreaterThan(0);
    expect(memory().numTensors).toBe(before);
  });
});
