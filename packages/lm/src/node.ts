// Checkpoint folders, and states of streams, on disk. Node only; browsers fetch the files themselves and use readPretrained.
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MnemixError } from '@mnemix/tensor';
import { syncFolder, writeFlushed } from './durable-file.ts';
import {
  CONFIG_FILE,
  pretrainedFiles,
  readPretrained,
  type Pretrained,
  type WriteOptions,
} from './pretrained.ts';
import type { LanguageModel, LmState } from './model.ts';
import { readState, writeState } from './saved-state.ts';
import { isWeightsFile } from './shards.ts';

export { syncFolder, writeFlushed };

/**
 * Loads the checkpoint in a folder.
 *
 * @throws MnemixError `file` or `checkpoint`, naming the file
 */
export const loadPretrained = (folder: string): Promise<Pretrained> =>
  readPretrained(async (name) => {
    const path = join(folder, name);
    try {
      return await readFile(path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw fileError(path, 'read', cause);
    }
  }, folder);

/** What a file is called until the whole checkpoint is written. */
const PARTIAL = '.partial';

/**
 * Saves a checkpoint to a folder, which is made where it does not exist. Weights and index of an earlier checkpoint
 * there go; other files stay.
 *
 * All of the new checkpoint is on disk, under other names, before the old one is touched; then config.json goes, which
 * comes back last. A process that is killed leaves the old checkpoint, the new one, or (between the renames) a folder
 * without config.json that does not load: never the weights of one with the configuration of the other. Saving again
 * repairs it.
 *
 * @throws MnemixError `file` where the folder cannot be written
 */
export async function savePretrained(
  folder: string,
  pretrained: Pretrained,
  options: WriteOptions = {},
): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const names: string[] = [];
    try {
      for await (const [name, bytes] of pretrainedFiles(pretrained, options)) {
        names.push(name);
        await writeFlushed(join(folder, name + PARTIAL), bytes);
      }
    } catch (cause) {
      for (const name of names) await rm(join(folder, name + PARTIAL), { force: true });
      throw cause;
    }
    await replace(folder, names);
  } catch (cause) {
    throw cause instanceof MnemixError ? cause : fileError(folder, 'written', cause);
  }
}

/**
 * Saves what a model remembers of its streams to a file. A process that is killed leaves the old file or the new one.
 *
 * @throws MnemixError `file` where it cannot be written
 */
export async function saveState(path: string, state: LmState): Promise<void> {
  const bytes = await writeState(state);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFlushed(path + PARTIAL, bytes);
    await rename(path + PARTIAL, path);
    await syncFolder(dirname(path));
  } catch (cause) {
    // What went wrong is told; that there may be nothing to take away is not.
    await rm(path + PARTIAL, { force: true }).catch(() => undefined);
    throw fileError(path, 'written', cause);
  }
}

/**
 * Loads a state that {@link saveState} wrote, for the same model or one with more eidetic slots.
 *
 * @throws MnemixError `file`, `checkpoint` for a damaged file, `state` for that of another model
 */
export async function loadState(path: string, model: LanguageModel): Promise<LmState> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw fileError(path, 'read', cause);
  }
  return readState(bytes, model, path);
}

/** Puts the files that were written in place of the folder's checkpoint; config.json comes last. */
async function replace(folder: string, names: readonly string[]): Promise<void> {
  await rm(join(folder, CONFIG_FILE), { force: true });
  await syncFolder(folder);
  for (const found of await readdir(folder)) {
    const name = found.endsWith(PARTIAL) ? found.slice(0, -PARTIAL.length) : found;
    if (isWeightsFile(name) && !names.includes(name)) await rm(join(folder, found));
  }
  for (const name of names) {
    if (name === CONFIG_FILE) await syncFolder(folder);
    await rename(join(folder, name + PARTIAL), join(folder, name));
  }
  await syncFolder(folder);
}

const fileError = (where: string, done: 'read' | 'written', cause: unknown): MnemixError =>
  new MnemixError({
    code: 'file',
    where,
    message: `it could not be ${done}: ${(cause as Error).message}.`,
    fix: 'Check that the path is the right one, and its permissions.',
    cause,
  });
