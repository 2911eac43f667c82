// What is wrong with a sweep, as its author sees it: all of it at once.
import { MnemixError } from '@mnemix/tensor';
import type { z } from 'zod';

/** One thing wrong. */
export interface Fault {
  /** The key of the sweep, or the flag, at fault. */
  readonly where: string;
  /** What was found, and what was expected. */
  readonly message: string;
  readonly fix: string;
}

/** A command was asked for something that cannot be done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  constructor(readonly faults: readonly Fault[]) {
    super(faults.map(({ where, message, fix }) => `error: ${where}: ${message}\nfix: ${fix}`).join('\n'));
  }
}

/** Throws every fault at once, if there are any. */
export function throwFaults(faults: readonly Fault[]): void {
  if (faults.length > 0) throw new UsageError(faults);
}

/** The fault that `build` is refused for, if it is; the error's own place stands behind `where`. */
export function refusal(where: string, build: () => unknown): Fault[] {
  try {
    build();
    return [];
  } catch (error) {
    if (!(error instanceof MnemixError && error.code === 'config')) throw error;
    const { message, fix } = error;
    const isWhole = message.endsWith(` ${fix}`);
    return [{ where, message: isWhole ? message.slice(0, -fix.length - 1) : message, fix }];
  }
}

/** What a schema finds wrong. */
export function schemaFaults(issue: z.core.$ZodIssue): Fault[] {
  const where = issue.path.join('.') || 'the sweep';
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        where: [...issue.path, key].join('.'),
        message: 'is not a key of a sweep.',
        fix: 'Remove it, or mend its name: `recall --schema` lists the keys.',
      }));
    case 'invalid_union': {
      const [closest = []] = issue.errors.toSorted((a, b) => depth(b) - depth(a));
      return closest.flatMap((inner) => schemaFaults({ ...inner, path: [...issue.path, ...inner.path] }));
    }
    case 'invalid_value':
      return [{ where, message: `${issue.message}.`, fix: `Use one of: ${issue.values.join(', ')}.` }];
    case 'too_small':
      return [
        {
          where,
          message: `${issue.message}.`,
          fix: `Use ${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}.`,
        },
      ];
    case 'too_big':
      return [{ where, message: `${issue.message}.`, fix: `Use at most ${issue.maximum}.` }];
    default:
      return [{ where, message: `${issue.message}.`, fix: 'Change it accordingly.' }];
  }
}

/** How far into the value the issues of a union's branch go: the branch that was meant goes furthest. */
const depth = (issues: readonly z.core.$ZodIssue[]): number =>
  Math.max(0, ...issues.map(({ path }) => path.length));
