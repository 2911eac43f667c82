/** Vitest matcher by relative RMS. Importing this file registers it. */
import { expect } from 'vitest';
import { compare, flatten, shapeMismatch, type Values } from './relative-rms.ts';

interface RmsMatchers<R = unknown> {
  /**
   * Passes if the relative RMS ‖actual − expected‖ / ‖expected‖ is at most `tolerance`, or no entry differs
   * by more than `absoluteFloor` (default 1e-6; 0 switches the floor off). Always fails on NaN or infinity on
   * either side, on no values at all, and on unequal shapes, negated or not.
   */
  toBeCloseRms(expected: Values, tolerance: number, absoluteFloor?: number): R;
}

declare module 'vitest' {
  interface Matchers<T = any> extends RmsMatchers<T> {}
}

interface MatcherState {
  readonly isNot?: boolean;
}

function toBeCloseRms(
  this: MatcherState,
  actual: Values,
  expected: Values,
  tolerance: number,
  absoluteFloor = 1e-6,
): { pass: boolean; message: () => string } {
  const fail = (message: string) => ({ pass: this.isNot === true, message: () => message });
  const a = flatten(actual);
  const b = flatten(expected);
  const mismatch = shapeMismatch(a, b);
  if (mismatch !== undefined) return fail(`toBeCloseRms: ${mismatch}`);
  if (b.data.length === 0) return fail('toBeCloseRms: nothing to compare, both sides are empty');

  const { relativeRms, maxAbsolute, worst, finite } = compare(a.data, b.data);
  const place = `${formatIndex(worst, b.shape ?? a.shape)}: found ${a.data[worst]}, expected ${b.data[worst]}`;
  if (!finite) return fail(`toBeCloseRms: not a finite number at ${place}`);
  return {
    pass: relativeRms <= tolerance || maxAbsolute <= absoluteFloor,
    message: () =>
      `relative RMS ${relativeRms.toExponential(3)} (${this.isNot ? 'expected more than' : 'limit'} ${tolerance}), ` +
      `largest difference ${maxAbsolute.toExponential(3)} (floor ${absoluteFloor}) at ${place}`,
  };
}

function formatIndex(flatIndex: number, shape: readonly number[] | undefined): string {
  if (shape === undefined) return `[${flatIndex}]`;
  let rest = flatIndex;
  const index = [...shape].reverse().map((size) => {
    const position = rest % size;
    rest = Math.floor(rest / size);
    return position;
  });
  return `[${index.reverse().join(', ')}]`;
}

expect.extend({ toBeCloseRms });
