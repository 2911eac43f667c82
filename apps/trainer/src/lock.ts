// One process at a time writes to a folder: a file in it names the process. It is taken over when that one is gone,
// so a kill -9 blocks nothing. It keeps out processes of the same machine.
import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { readIfThere } from './files.ts';
import { UsageError } from './errors.ts';

/** A process; the start tells it from a later one with the same number, where the system says when that was. */
interface Owner {
  readonly pid: number;
  readonly start?: string | undefined;
}

/** What this very process holds. */
const held = new Set<string>();

/**
 * Keeps other processes out of a folder until disposed of.
 *
 * @throws UsageError where a running process holds it
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const path = join(folder, '.lock');
  const self: Owner = { pid: process.pid, start: startOf(process.pid) };
  while (!(await create(path, JSON.stringify(self)))) {
    const owner = await ownerOf(path);
    if (owner !== undefined && isRunning(owner, path)) {
      throw new UsageError([
        {
          where: folder,
          message: `process ${owner.pid} is writing to it.`,
          fix: `Wait until that has ended, or stop it. If it is no trainer, delete ${path}.`,
        },
      ]);
    }
    await rm(path, { force: true });
  }
  held.add(path);
  return {
    async [Symbol.asyncDispose]() {
      held.delete(path);
      await rm(path, { force: true });
    },
  };
}

/** Whether a file that was not there is there now, with this content. */
async function create(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whom a lock names; nobody where its owner died before it had written its name. */
async function ownerOf(path: string): Promise<Owner | undefined> {
  for (const wait of [0, 100]) {
    await setTimeout(wait);
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    // Between the creation of the file and its content there is a moment.
    if (text !== '') return parseOwner(text);
  }
  return undefined;
}

function parseOwner(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Partial<Owner>;
    return Number.isSafeInteger(owner.pid) ? (owner as Owner) : undefined;
  } catch {
    return undefined;
  }
}

function isRunning({ pid, start }: Owner, path: string): boolean {
  if (pid === process.pid) return held.has(path);
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const startNow = startOf(pid);
  return start === undefined || startNow === undefined || start === startNow;
}

/** When a process started, in the kernel's ticks since boot; Linux only. */
function startOf(pid: number): string | undefined {
  try {
    // The second field is the program's name in brackets, which may itself hold blanks and brackets.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\)/s, '').trim().split(' ');
    return fields[19];
  } catch {
    return undefined;
  }
}
