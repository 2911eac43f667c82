// Data for benchmarks, quickly, and errors of samples.
import { tensor, type Tensor } from '@mnemix/tensor';

/** Values between −1 and 1: a linear congruential generator (Numerical Recipes'). */
export function noise(seed: number, count: number): Float32Array {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    values[i] = state / 2 ** 31;
  }
  return values;
}

export const noiseTensor = (seed: number, shape: readonly number[]): Tensor =>
  tensor(
    noise(
      seed,
      shape.reduce((a, b) => a * b, 1),
    ),
    [...shape],
  );

/** Each run of `width` values scaled to length 1. */
export function normalised(values: Float32Array, width: number): Float32Array {
  for (let start = 0; start < values.length; start += width) {
    let squares = 0;
    for (let i = start; i < start + width; i++) squares += (values[i] as number) ** 2;
    const factor = 1 / Math.sqrt(squares);
    for (let i = start; i < start + width; i++) values[i] = (values[i] as number) * factor;
  }
  return values;
}

/** Whole numbers from 0 to below `most`. */
export const whole = (seed: number, count: number, most: number): Int32Array =>
  Int32Array.from(noise(seed, count), (value) => Math.min(most - 1, Math.floor(((value + 1) / 2) * most)));

/** Relative RMS error of pairs of what was found and what was wanted. */
export function relativeError(pairs: Iterable<readonly [found: number, wanted: number]>): number {
  let [errors, squares] = [0, 0];
  for (const [found, wanted] of pairs) {
    errors += (found - wanted) ** 2;
    squares += wanted ** 2;
  }
  return Math.sqrt(errors / squares);
}

const SAMPLES = 400;

/** Over entries spread evenly, the first and the last among them. */
export function sampledError(found: ArrayLike<number>, entry: (index: number) => number): number {
  const last = found.length - 1;
  return relativeError(
    Array.from({ length: SAMPLES }, (_, i) => {
      const index = Math.round((i * last) / (SAMPLES - 1));
      return [found[index] as number, entry(index)] as const;
    }),
  );
}
