import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { memory, openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints, readCheckpoint } from '../src/checkpoint.ts';
import { inFolder } from '../src/run-folder.ts';
import { bigramConfig } from './bigram.ts';
import { temporaryFolder } from './folder.ts';
import { newestCheckpoint, runBigram, timelessLog } from './run-bigram.ts';

let straight: string;

beforeAll(async () => {
  await openBackend('wasm');
  straight = join(temporaryFolder(), 'straight');
  await runBigram(straight);
});

const expectSameEnd = async (folder: string): Promise<void> => {
  expect((await newestCheckpoint(folder)).equals(await newestCheckpoint(straight))).toBe(true);
  expect(await timelessLog(folder)).toEqual(await timelessLog(straight));
};

describe('a run', () => {
  it('learns its task', async () => {
    const losses = (await timelessLog(straight)).map((entry) => (entry as { loss?: number }).loss ?? NaN);
    expect(losses.filter((loss) => loss >= 0).at(-1)).toBeLessThan(0.5 * (losses[0] as number));
  });

  it('interrupted after 10 of 20 steps and resumed ends with the bytes and losses of one that was not', async () => {
    const folder = join(temporaryFolder(), 'stopped');
    expect(await runBigram(folder, bigramConfig(), 10)).toMatchObject({ ended: 'interrupted', step: 10 });
    expect(await runBigram(folder)).toMatchObject({ ended: 'steps', step: 20 });
    await expectSameEnd(folder);
  });

  it('repairs a torn last line of the log and forgets what was logged after the checkpoint', async () => {
    const folder = join(temporaryFolder(), 'torn');
    await runBigram(folder, bigramConfig(), 10);
    appendFileSync(inFolder(folder).log, '{"step":11,"loss":99,"seconds":1}\n{"step":12,"lo');
    await runBigram(folder);
    await expectSameEnd(folder);
  });

  it('ignores a half written checkpoint and clears it away', async () => {
    const folder = join(temporaryFolder(), 'partial');
    await runBigram(folder, bigramConfig(), 10);
    const { checkpoints } = inFolder(folder);
    writeFileSync(join(checkpoints, 'step-00000012.safetensors.partial'), 'half');
    await runBigram(folder);
    await expectSameEnd(folder);
    expect(readdirSync(checkpoints).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it.each<[what: string, path: (folder: string) => string, replace: (path: string) => void]>([
    ['its log', (folder) => inFolder(folder).log, (path) => mkdirSync(path)],
    ['its checkpoints', (folder) => inFolder(folder).checkpoints, (path) => writeFileSync(path, '')],
  ])('does not begin again where %s cannot be read', async (_, pathIn, replace) => {
    const folder = join(temporaryFolder(), 'unreadable');
    await runBigram(folder, bigramConfig(), 5);
    const before = memory().numTensors;
    rmSync(pathIn(folder), { recursive: true });
    replace(pathIn(folder));
    const files = readdirSync(folder).sort();
    await expect(runBigram(folder)).rejects.toThrow(pathIn(folder));
    expect(readdirSync(folder).sort()).toEqual(files);
    expect(memory().numTensors).toBe(before);
  });

  it('keeps the newest checkpoints and the best one', async () => {
    const paths = await listCheckpoints(inFolder(straight).checkpoints);
    const { best, step } = (await readCheckpoint(paths.at(-1) as string)).position;
    const expected = new Set(
      [best?.step, 16, step].map((kept) => `step-${String(kept).padStart(8, '0')}.safetensors`),
    );
    expect(new Set(paths.map((path) => basename(path)))).toEqual(expected);
  });

  it('that had ended only says again how it ended', async () => {
    const before = readFileSync(inFolder(straight).log, 'utf8');
    const again = await runBigram(straight);
    expect(again).toMatchObject({ ended: 'steps', step: 20 });
    expect(readFileSync(inFolder(straight).log, 'utf8')).toBe(before);
  });

  it('stops at the accuracy that is asked for, and stays stopped', async () => {
    const folder = join(temporaryFolder(), 'target');
    const config = bigramConfig({ training: { steps: 500, stopAt: 0.9, evalEvery: 5 } });
    const end = await runBigram(folder, config);
    expect(end.ended).toBe('target');
    expect(end.step).toBeLessThan(500);
    expect(end.unseen?.accuracy).toBeGreaterThan(0.8);
    expect(await runBigram(folder)).toMatchObject({ ended: 'target', step: end.step, unseen: end.unseen });
  });

  it('leaves no tensor behind, however it ends', async () => {
    const before = memory().numTensors;
    const folder = join(temporaryFolder(), 'tidy');
    await runBigram(folder, bigramConfig(), 3);
    await runBigram(folder);
    expect(memory().numTensors).toBe(before);
  });
});
