// Numbers of flags that are no key of the configuration.
import { UsageError } from '../errors.ts';

export interface Range {
  readonly least?: number;
  readonly most?: number;
  readonly whole?: boolean;
}

/** A parser for the value of `flag`. Throws a UsageError for what is no number, or lies outside of the range. */
export function numberFor(
  flag: string,
  { least = -Infinity, most = Infinity, whole = false }: Range,
): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (value >= least && value <= most && (!whole || Number.isSafeInteger(value))) return value;
    const kind = whole ? 'a whole number' : 'a number';
    const bounds = [
      ...(least > -Infinity ? [`from ${least}`] : []),
      ...(most < Infinity ? [`up to ${most}`] : []),
    ];
    throw new UsageError([
      { where: flag, message: `is "${text}".`, fix: `Use ${[kind, ...bounds].join(' ')}.` },
    ]);
  };
}

/** Token ids, separated by commas or spaces. */
export function parseIds(text: string): number[] {
  const ids = text
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(Number);
  if (ids.length > 0 && ids.every((id) => Number.isSafeInteger(id) && id >= 0)) return ids;
  const fix = 'Write whole numbers with commas between them, e.g. --prompt-ids 1,2,3.';
  throw new UsageError([{ where: '--prompt-ids', message: `is "${text}".`, fix }]);
}
