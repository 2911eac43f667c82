// Where sweeps come from: a preset of this package, or a file of the user's.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from './faults.ts';

/** Beside `src` and `dist` alike. */
const folder = fileURLToPath(new URL('../../sweeps/', import.meta.url));

export const presetNames = (): readonly string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();

export const readPreset = (name: string): unknown => readSweep(`${folder}${name}.json`);

/** @throws UsageError where there is no such file, or it is not JSON */
export function readSweep(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const isSyntax = error instanceof SyntaxError;
    throw new UsageError([
      {
        where: path,
        message: isSyntax ? `is not JSON: ${error.message}.` : 'cannot be read.',
        fix: isSyntax
          ? 'Mend the syntax.'
          : `Name a JSON file, or take a preset: ${presetNames().join(', ')}.`,
      },
    ]);
  }
}
