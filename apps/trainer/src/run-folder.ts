// A run on disk: configuration, log, checkpoints, TensorBoard events, result, figure.
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { syncFolder } from '@mnemix/lm/node';
import type { Config } from './config.ts';
import { UsageError } from './errors.ts';
import { readJsonIfThere, writeAtomically } from './files.ts';
import { checkConfig } from './resolve-config.ts';

/** The parts of a run folder. */
export const inFolder = (folder: string) => ({
  config: join(folder, 'config.json'),
  log: join(folder, 'log.jsonl'),
  checkpoints: join(folder, 'checkpoints'),
  tensorboard: join(folder, 'tensorboard'),
  device: join(folder, 'device.json'),
  result: join(folder, 'result.json'),
  curves: join(folder, 'curves.svg'),
});

/** Where editors find the schema of a configuration, seen from a folder. */
function schemaFrom(folder: string): string {
  const schema = fileURLToPath(new URL('../config.schema.json', import.meta.url));
  return relative(folder, schema).replaceAll('\\', '/');
}

/** `runs/recall-2026-01-31T12-00-00`. */
export function defaultFolder(name: string, now = new Date()): string {
  return join('runs', `${name}-${now.toISOString().slice(0, 19).replaceAll(':', '-')}`);
}

/**
 * Makes a run folder that holds its configuration. It appears complete or not at all: it is filled under another
 * name and then renamed.
 *
 * @throws UsageError where there is something else already
 */
export async function createRunFolder(folder: string, config: Config): Promise<void> {
  await checkFree(folder);
  const whole = resolve(folder);
  const partial = join(dirname(whole), `.${basename(whole)}.partial`);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  const text = JSON.stringify({ ...config, $schema: schemaFrom(whole) }, undefined, 2);
  await writeAtomically(inFolder(partial).config, `${text}\n`);
  await rename(partial, whole);
  await syncFolder(dirname(whole));
}

/**
 * Checks that a folder may become a run: it is not there, or empty.
 *
 * @throws UsageError otherwise
 */
export async function checkFree(folder: string): Promise<void> {
  const content = await readdir(folder).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? [] : ['?'],
  );
  if (content.length === 0) return;
  const isRun = content.includes('config.json');
  throw new UsageError([
    {
      where: folder,
      message: isRun ? 'holds a run already.' : 'exists, and is not an empty folder.',
      fix: isRun
        ? `Continue it with \`mnemix resume ${folder}\`, or name another folder.`
        : 'Name another folder.',
    },
  ]);
}

/**
 * Reads the configuration of a run folder.
 *
 * @throws UsageError where it is no run folder; MnemixError `file` where it cannot be read
 */
export async function readRunFolder(folder: string): Promise<Config> {
  const raw = await readJsonIfThere(inFolder(folder).config);
  if (raw !== undefined) return checkConfig(raw);
  throw new UsageError([
    {
      where: folder,
      message: 'is not a run folder: there is no config.json in it.',
      fix: 'Name a folder that `mnemix train` made.',
    },
  ]);
}
