// Files that are either wholly there or not at all, whenever the process or the machine dies.
import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, writeFlushed } from '@mnemix/lm/node';
import { MnemixError } from '@mnemix/tensor';

const SUFFIX = '.partial';

/**
 * Writes a file under a temporary name in the same folder, flushes it, and renames it into place; then flushes the
 * folder, so that the new name survives a power cut too. Readers see the old content or the new one, nothing between.
 */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const partial = path + SUFFIX;
  await writeFlushed(partial, content);
  await rename(partial, path);
  await syncFolder(dirname(path));
}

/** Removes what a writer that was killed left behind. Only for who writes to the folder. */
export async function removePartials(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.endsWith(SUFFIX)) await rm(join(folder, name));
  }
}

/** What is at a path. */
export async function kindOf(path: string): Promise<'folder' | 'file' | 'nothing'> {
  const found = await unlessMissing(path, stat(path));
  if (!found) return 'nothing';
  return found.isDirectory() ? 'folder' : 'file';
}

/** The text of a file that may be missing. */
export const readIfThere = (path: string): Promise<string | undefined> =>
  unlessMissing(path, readFile(path, 'utf8'));

/** The names in a folder that may be missing: none. */
export const listIfThere = async (folder: string): Promise<string[]> =>
  (await unlessMissing(folder, readdir(folder))) ?? [];

/**
 * The result of reading `path`; undefined where nothing is there. Every other failure is one: to take a file that
 * cannot be read for one that is not there would be to do its work again, and to write over it.
 *
 * @throws MnemixError `file`
 */
async function unlessMissing<T>(path: string, reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new MnemixError({
      code: 'file',
      where: path,
      message: `it cannot be read (${message}).`,
      fix: 'Check that it is what it should be, and that you may read it.',
      cause,
    });
  }
}

/**
 * The object in a JSON file that may be missing.
 *
 * @throws MnemixError `file` where it cannot be read, or is not JSON
 */
export async function readJsonIfThere(path: string): Promise<unknown> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new MnemixError({
      code: 'file',
      where: path,
      message: 'it is not valid JSON.',
      fix: 'Restore it.',
      cause,
    });
  }
}
