import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints } from '../src/checkpoint.ts';
import { inFolder } from '../src/run-folder.ts';
import { temporaryFolder } from './folder.ts';
import { newestCheckpoint, runBigram, timelessLog } from './run-bigram.ts';
import { bigramConfig } from './bigram.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

describe('a run that is stopped and resumed', () => {
  it('ends with the bytes and the losses of one that was not', async () => {
    const parent = temporaryFolder();
    const [straight, stopped] = [join(parent, 'straight'), join(parent, 'stopped')];
    await runBigram(straight);
    const first = await runBigram(stopped, bigramConfig(), 10);
    expect(first).toMatchObject({ ended: 'interrupted', step: 10 });
    const second = await runBigram(stopped);
    expect(second).toMatchObject({ ended: 'steps', step: 20 });
    expect((await newestCheckpoint(stopped)).equals(await newestCheckpoint(straight))).toBe(true);
    expect(await timelessLog(stopped)).toEqual(await timelessLog(straight));
  });
});
