/** The one measure of closeness that all suites use: relative root mean square. */
import { nestedShape, type Nested } from './array.ts';

/**
 * What can be compared: a number; a flat array or typed array (its shape is unknown, only its length counts);
 * nested arrays; anything with a shape and its numbers in `data`; a tfjs tensor whose `dataSync` works
 * (on WebGPU pass `{ shape: x.shape, data: await x.data() }`).
 */
export type Values =
  | Nested
  | ArrayLike<number>
  | { readonly shape: readonly number[]; readonly data: ArrayLike<number> }
  | { readonly shape: readonly number[]; dataSync(): ArrayLike<number> };

/** Numbers of {@link Values} in row-major order, with their shape where it is known. */
export interface Flat {
  readonly shape: readonly number[] | undefined;
  readonly data: ArrayLike<number>;
}

/** Row-major numbers and, where known, the shape of whatever can be compared. */
export function flatten(values: Values): Flat {
  if (typeof values === 'number') return { shape: [], data: [values] };
  if ('dataSync' in values) return { shape: values.shape, data: values.dataSync() };
  if ('shape' in values) return { shape: values.shape, data: values.data };
  if (Array.isArray(values) && values.some(Array.isArray)) {
    return { shape: nestedShape(values), data: values.flat(Infinity) as number[] };
  }
  return { shape: undefined, data: values as ArrayLike<number> };
}

/** How two arrays of one length differ. */
export interface Comparison {
  /** ‖actual − expected‖ / ‖expected‖. */
  readonly relativeRms: number;
  readonly maxAbsolute: number;
  /** Row-major position of the largest difference, or of the first one that is not a number. */
  readonly worst: number;
  readonly finite: boolean;
}

/** Compares entry by entry. An entry that is NaN or infinite on either side makes `finite` false. */
export function compare(actual: ArrayLike<number>, expected: ArrayLike<number>): Comparison {
  let squaredDifference = 0;
  let squaredExpected = 0;
  let maxAbsolute = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = actual[i]!;
    const b = expected[i]!;
    if (!Number.isFinite(a) || !Number.isFinite(b)) {
      return { relativeRms: NaN, maxAbsolute: NaN, worst: i, finite: false };
    }
    const difference = Math.abs(a - b);
    squaredDifference += difference ** 2;
    squaredExpected += b ** 2;
    if (difference > maxAbsolute) [maxAbsolute, worst] = [difference, i];
  }
  const relativeRms = squaredDifference === 0 ? 0 : Math.sqrt(squaredDifference / squaredExpected);
  return { relativeRms, maxAbsolute, worst, finite: true };
}

/**
 * ‖actual − expected‖ / ‖expected‖: 0 if they are equal, ∞ if only `expected` is all zeros, NaN if any entry
 * is NaN or infinite.
 * @throws RangeError if the lengths differ, or the shapes where both are known.
 */
export function relativeRms(actual: Values, expected: Values): number {
  const a = flatten(actual);
  const b = flatten(expected);
  const mismatch = shapeMismatch(a, b);
  if (mismatch !== undefined) throw new RangeError(`relativeRms: ${mismatch}`);
  return compare(a.data, b.data).relativeRms;
}

/** Says how two shapes differ, or undefined if they agree as far as they are known. */
export function shapeMismatch(actual: Flat, expected: Flat): string | undefined {
  const describe = (flat: Flat): string =>
    flat.shape === undefined ? `${flat.data.length} values` : `shape [${flat.shape}]`;
  const lengthsAgree = actual.data.length === expected.data.length;
  const shapesAgree =
    actual.shape === undefined ||
    expected.shape === undefined ||
    actual.shape.join() === expected.shape.join();
  return lengthsAgree && shapesAgree
    ? undefined
    : `found ${describe(actual)}, expected ${describe(expected)}`;
}
