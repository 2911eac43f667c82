// Checkpoint folders on disk. Node only; browsers fetch the files themselves and use readPretrained.
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readPretrained, writePretrained, type Pretrained } from './pretrained.ts';

/**
 * Loads the checkpoint in a folder.
 *
 * @throws MnemixError `file` or `checkpoint`, naming the file
 */
export const loadPretrained = (folder: string): Promise<Pretrained> =>
  readPretrained(async (name) => {
    try {
      return await readFile(join(folder, name));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw cause;
    }
  }, folder);

/** Saves a checkpoint to a folder, which is made where it does not exist; each file appears whole or not at all. */
export async function savePretrained(folder: string, pretrained: Pretrained): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(await writePretrained(pretrained))) {
    await writeWhole(join(folder, name), bytes);
  }
}

/** Writes to a temporary name, flushes, renames. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cause;
  }
}
