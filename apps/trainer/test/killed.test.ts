import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { inFolder } from '../src/run-folder.ts';
import { bigramConfig } from './bigram.ts';
import { temporaryFolder } from './folder.ts';
import { Dead, dieAfter } from './mortal-files.ts';
import { newestCheckpoint, runBigram, timelessLog } from './run-bigram.ts';

vi.mock('node:fs/promises', async (importOriginal) => {
  const { mortal } = await import('./mortal-files.ts');
  return mortal(await importOriginal());
});

const config = bigramConfig({
  training: { steps: 3, evalEvery: 2, batch: 8, evalSequences: 4 },
  output: { saveEvery: 2, keep: 1, tensorboard: true },
});

beforeAll(async () => {
  await openBackend('wasm');
});

/** Whether the run came to its end before it was killed. */
async function live(folder: string, changes: number): Promise<boolean> {
  dieAfter(changes);
  try {
    await runBigram(folder, config);
    return true;
  } catch (error) {
    if (!(error instanceof Dead)) throw error;
    return false;
  } finally {
    dieAfter(Infinity);
  }
}

describe('a run that is killed', () => {
  it('at any change of a file resumes to the very end that it would have had, and leaves nothing half written', async () => {
    const parent = temporaryFolder();
    const straight = join(parent, 'straight');
    await live(straight, Infinity);
    const [checkpoint, log] = [await newestCheckpoint(straight), await timelessLog(straight)];
    let changes = 0;
    for (; ; changes++) {
      const folder = join(parent, `killed-at-${changes}`);
      if (await live(folder, changes)) break;
      await live(folder, Infinity);
      expect(
        (await newestCheckpoint(folder)).equals(checkpoint),
        `checkpoint, killed at change ${changes}`,
      ).toBe(true);
      expect(await timelessLog(folder), `log, killed at change ${changes}`).toEqual(log);
      const names = [folder, inFolder(folder).checkpoints].flatMap((place) => readdirSync(place));
      expect(
        names.filter((name) => name.includes('partial')),
        `leftovers, killed at change ${changes}`,
      ).toEqual([]);
    }
    // Fewer would mean that the changes are not seen.
    expect(changes).toBeGreaterThan(40);
  }, 60_000);

  it('again and again, a few changes after each start, gets to the same end', async () => {
    const parent = temporaryFolder();
    const straight = join(parent, 'straight');
    const killed = join(parent, 'killed');
    await live(straight, Infinity);
    let lives = 1;
    // Opening a run takes ten changes or so; the lives get longer until one is enough to get to a checkpoint.
    while (!(await live(killed, 8 + lives))) lives++;
    expect(lives).toBeGreaterThan(3);
    expect((await newestCheckpoint(killed)).equals(await newestCheckpoint(straight))).toBe(true);
    expect(await timelessLog(killed)).toEqual(await timelessLog(straight));
  });
});
