// Files that are either wholly there or not at all, whenever the process or the machine dies.
import { open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const SUFFIX = '.partial';

/**
 * Writes a file under a temporary name in the same folder, flushes it, and renames it into place; then flushes the
 * folder, so that the new name survives a power cut too. Readers see the old content or the new one, nothing between.
 */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const partial = path + SUFFIX;
  const file = await open(partial, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(partial, path);
  await syncFolder(dirname(path));
}

/** Makes renames and deletions in a folder durable. Windows cannot, and does not need to. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what a writer that was killed left behind. Only for who writes to the folder. */
export async function removePartials(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.endsWith(SUFFIX)) await rm(join(folder, name));
  }
}
