// What the schema finds wrong, in words that name the key and the way out.
import type { z } from 'zod';
import { configSchema } from './config.ts';
import type { Fault } from './errors.ts';

type Json = Record<string, unknown>;

/** @param raw the configuration as it was written */
export function schemaFaults(issue: z.core.$ZodIssue, raw: unknown): Fault[] {
  const where = issue.path.join('.') || 'the configuration';
  const found = issue.path.reduce<unknown>((value, key) => (value as Json | undefined)?.[key as string], raw);
  switch (issue.code) {
    case 'unrecognized_keys': {
      const allowed = keysAt(issue.path).join(', ');
      return issue.keys.map((key) => ({
        where: [...issue.path, key].join('.'),
        message: 'is not a key of the configuration.',
        fix: `Remove it, or use one of: ${allowed}.`,
      }));
    }
    case 'invalid_value':
      return [{ where, message: `is ${show(found)}.`, fix: `Use one of: ${issue.values.join(', ')}.` }];
    case 'invalid_union':
      return [{ where, message: `is ${show(found)}.`, fix: 'Use one of: recall, text.' }];
    case 'too_small':
      return [{ where, message: `is ${show(found)}.`, fix: `Use ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}.` }];
    case 'too_big':
      return [{ where, message: `is ${show(found)}.`, fix: `Use at most ${issue.maximum}.` }];
    case 'invalid_type':
      if (found === undefined) return [{ where, message: 'is missing.', fix: `Add it: it is of type ${issue.expected}.` }];
      return [{ where, message: `is ${show(found)}.`, fix: `Use a value of type ${issue.expected === 'int' ? 'integer' : issue.expected}.` }];
    default:
      return [{ where, message: `is ${show(found)}: ${issue.message}.`, fix: 'Change it accordingly.' }];
  }
}

const show = (value: unknown): string => JSON.stringify(value) ?? 'missing';

/** The keys that the schema allows at a path, for the reader to choose from. */
function keysAt(path: readonly PropertyKey[]): string[] {
  const [section] = path;
  if (section === undefined) return Object.keys(configSchema.shape).filter((key) => key !== '$schema');
  const { task, model, optimizer, training, output } = configSchema.shape;
  if (section === 'task') {
    return [...new Set(task.options.flatMap((option) => Object.keys(option.shape)))];
  }
  const sections = { model, optimizer, training, output, beside: model };
  return Object.keys(sections[section as keyof typeof sections].unwrap().shape);
}
