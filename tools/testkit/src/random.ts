/**
 * Seeded numbers for test data: the same on every machine, and independent of the product's own generator.
 */
import { nd, sizeOf, type NdArray } from './array.ts';

/** A stream of pseudo-random numbers. */
export interface SeededRandom {
  /** Uniform in [low, high), by default [0, 1). */
  uniform(low?: number, high?: number): number;
  /** Normal with mean 0 and variance 1. */
  normal(): number;
  /** Uniform among 0, 1, …, below − 1. */
  integer(below: number): number;
  /** Independent normals, multiplied by `scale` (default 1). */
  normals(shape: readonly number[], scale?: number): NdArray;
  /** Independent uniforms in [low, high). */
  uniforms(shape: readonly number[], low: number, high: number): NdArray;
}

/** The stream that belongs to `seed` (any 32-bit integer). Generator: mulberry32. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed | 0;
  const uniform = (low = 0, high = 1): number => {
    state = (state + 0x6d2b79f5) | 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return low + (high - low) * (((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32);
  };
  // Box–Muller; 1 − u keeps the logarithm's argument above 0.
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const fill = (shape: readonly number[], draw: () => number): NdArray =>
    nd(shape, Array.from({ length: sizeOf(shape) }, draw));
  return {
    uniform,
    normal,
    integer: (below) => Math.floor(uniform() * below),
    normals: (shape, scale = 1) => fill(shape, () => scale * normal()),
    uniforms: (shape, low, high) => fill(shape, () => uniform(low, high)),
  };
}
