import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../src/errors.ts';
import { lockFolder } from '../src/lock.ts';
import { temporaryFolder } from './folder.ts';

/** A process that does nothing until it is killed. */
function sleeper() {
  return spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
}

const lockOf = (folder: string): string => join(folder, '.lock');

describe('the lock of a folder', () => {
  it('is there while it is held, and gone afterwards', async () => {
    const folder = temporaryFolder();
    {
      await using _lock = await lockFolder(folder);
      expect(JSON.parse(readFileSync(lockOf(folder), 'utf8'))).toMatchObject({ pid: process.pid });
    }
    expect(existsSync(lockOf(folder))).toBe(false);
  });

  it('is refused to a second one, in the same process too', async () => {
    const folder = temporaryFolder();
    await using _lock = await lockFolder(folder);
    await expect(lockFolder(folder)).rejects.toThrow(`${folder}: process ${process.pid} is writing to it.`);
  });

  it('is refused while the process that it names runs, and taken over once that was killed', async () => {
    const folder = temporaryFolder();
    const other = sleeper();
    writeFileSync(lockOf(folder), JSON.stringify({ pid: other.pid }));
    await expect(lockFolder(folder)).rejects.toBeInstanceOf(UsageError);
    other.kill('SIGKILL');
    await once(other, 'exit');
    await using _lock = await lockFolder(folder);
    expect(readFileSync(lockOf(folder), 'utf8')).toContain(`"pid":${process.pid}`);
  });

  it.each([
    ['of an earlier process with the number of this one', JSON.stringify({ pid: process.pid, start: '1' })],
    ['whose owner died before it had written its name', ''],
    ['that was torn', '{"pid":'],
  ])('%s is taken over', async (_, content) => {
    const folder = temporaryFolder();
    writeFileSync(lockOf(folder), content);
    await using _lock = await lockFolder(folder);
    expect(readFileSync(lockOf(folder), 'utf8')).toContain(`"pid":${process.pid}`);
  });

  it.runIf(process.platform === 'linux')(
    'of a process whose number another one has now is taken over',
    async () => {
      const folder = temporaryFolder();
      const other = sleeper();
      writeFileSync(lockOf(folder), JSON.stringify({ pid: other.pid, start: '1' }));
      await using _lock = await lockFolder(folder);
      other.kill();
      expect(readFileSync(lockOf(folder), 'utf8')).toContain(`"pid":${process.pid}`);
    },
  );
});
