// From what the user named (a preset or a file, and flags) to one whole, valid configuration, or to every fault in it.
import { readFileSync } from 'node:fs';
import { parse, printParseErrorCode, type ParseError } from 'jsonc-parser';
import type { z } from 'zod';
import { configSchema, type Config } from './config.ts';
import { contradictions } from './contradictions.ts';
import { throwFaults, UsageError, type Fault } from './errors.ts';
import { presets } from './presets/index.ts';
import { schemaFaults } from './schema-faults.ts';

type Json = Record<string, unknown>;

/** One key that a flag sets, e.g. `{ flag: '--top-k', key: 'model.topK', value: 2 }`. */
export interface Setting {
  readonly flag: string;
  readonly key: string;
  readonly value: unknown;
}

/**
 * @param source a preset's name, or the path of a JSON or JSONC file
 * @throws UsageError with all faults
 */
export function resolveConfig(source: string, settings: readonly Setting[] = []): Config {
  const raw = structuredClone(
    Object.hasOwn(presets, source) ? presets[source] : readConfigFile(source),
  ) as Json;
  if (settings.some(({ key }) => key === 'model.cell')) forgetCell(raw);
  throwFaults(settings.flatMap((setting) => setKey(raw, setting)));
  try {
    return checkConfig(raw);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const flags = new Map(settings.map(({ flag, key }) => [key, flag]));
    throw new UsageError(
      error.faults.map((fault) => ({
        ...fault,
        where: fault.where + (flags.has(fault.where) ? ` (${flags.get(fault.where)})` : ''),
      })),
    );
  }
}

/**
 * Checks a configuration that was read as JSON, and fills in the defaults.
 *
 * @throws UsageError with all faults
 */
export function checkConfig(raw: unknown): Config {
  const parsed = configSchema.safeParse(raw);
  if (parsed.success) {
    throwFaults(contradictions(parsed.data));
    return parsed.data;
  }
  const { issues } = parsed.error;
  // What remains without the faulty keys may contradict itself as well: say so in the same breath.
  const remaining = configSchema.safeParse(withoutFaulty(raw, issues));
  const faultyValues = issues
    .filter(({ code }) => code !== 'unrecognized_keys')
    .map(({ path }) => path.join('.'));
  const isSound = (key: string): boolean =>
    !faultyValues.some((faulty) => key.startsWith(faulty) || faulty.startsWith(`${key}.`));
  const further = remaining.success
    ? contradictions(remaining.data).filter(({ keys }) => keys.every(isSound))
    : [];
  throw new UsageError([...issues.flatMap((issue) => schemaFaults(issue, raw)), ...further]);
}

function withoutFaulty(raw: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const rest = structuredClone(raw);
  const remove = (path: readonly PropertyKey[]): void => {
    const parent = path
      .slice(0, -1)
      .reduce<unknown>((value, key) => (value as Json | undefined)?.[key as string], rest);
    if (typeof parent === 'object' && parent !== null) delete (parent as Json)[path.at(-1) as string];
  };
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) remove([...issue.path, key]);
    else remove(issue.path);
  }
  return rest;
}

function readConfigFile(path: string): unknown {
  const names = Object.keys(presets).join(', ');
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new UsageError([
      {
        where: path,
        message: 'is neither a preset nor a readable file.',
        fix: `Name a JSON file, or one of the presets: ${names}.`,
      },
    ]);
  }
  const errors: ParseError[] = [];
  const value = parse(text, errors, { allowTrailingComma: true }) as unknown;
  throwFaults(
    errors.map(({ error, offset }) => {
      const before = text.slice(0, offset).split('\n');
      return {
        where: `${path}:${before.length}:${(before.at(-1) as string).length + 1}`,
        message: `is not valid JSON (${printParseErrorCode(error)}).`,
        fix: 'Mend the syntax; comments and trailing commas are allowed.',
      };
    }),
  );
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new UsageError([
    { where: path, message: 'holds no JSON object.', fix: 'Write { "task": … } in it.' },
  ]);
}

/** Where a flag swaps the cell, what was said for the one before does not count: neither for it nor beside it. */
function forgetCell(raw: Json): void {
  const variants = Object.values((raw['beside'] ?? {}) as Record<string, Json | null>);
  for (const section of [raw, ...variants])
    delete (section?.['model'] as Json | null | undefined)?.['cellOptions'];
}

/** Sets a key of nested records; a fault where the way leads through something else. */
function setKey(raw: Json, { flag, key, value }: Setting): Fault[] {
  const path = key.split('.');
  const last = path.pop() as string;
  let section = raw;
  for (const name of path) {
    if (!Object.hasOwn(section, name)) section[name] = {};
    const next = section[name];
    if (typeof next !== 'object' || next === null) {
      return [
        {
          where: `${key} (${flag})`,
          message: `cannot be set: ${name} is ${JSON.stringify(next)}.`,
          fix: `Set ${name} itself.`,
        },
      ];
    }
    section = next as Json;
  }
  section[last] = value;
  return [];
}
