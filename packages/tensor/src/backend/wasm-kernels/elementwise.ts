// Exponential functions by table and polynomial. The stock kernels call C's scalar functions for each element.
import { Cos, Exp, Sin, Softplus, Tanh, type TensorInfo, type TypedArray } from '@tensorflow/tfjs-core';
import { replaceKernel } from './heap.ts';

/** 2^(k − 160), so that every power that a float32 can hold, and those that overflow or vanish, are there. */
const POWERS = Float64Array.from({ length: 320 }, (_, k) => 2 ** (k - 160));
/** 2^(j / 32). */
const ROOTS = Float64Array.from({ length: 32 }, (_, j) => 2 ** (j / 32));
const STEP = Math.LN2 / 32;
/** Adding and subtracting it rounds a small float64 to the nearest integer. */
const ROUND = 2 ** 52 * 1.5;

/** e^x to 2e-12, in float64: x = n·ln2/32 + r, e^x = 2^(n/32)·e^r. Right for ±∞ and NaN once stored as float32. */
function exp(x: number): number {
  const clamped = x > 89 ? 89 : x < -104 ? -104 : x;
  const n = clamped * (32 / Math.LN2) + ROUND - ROUND;
  const r = clamped - n * STEP;
  const series = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24))));
  return (POWERS[(n >> 5) + 160] as number) * (ROOTS[n & 31] as number) * series;
}

/** ln(1 + j/128) and 1 / (1 + j/128). */
const LOGS = Float64Array.from({ length: 129 }, (_, j) => Math.log(1 + j / 128));
const RECIPROCALS = Float64Array.from({ length: 129 }, (_, j) => 128 / (128 + j));

/** ln(1 + u) for 0 ≤ u ≤ 1, relative to 1e-11. */
function log1p(u: number): number {
  if (u < 1e-4) return u * (1 - u * (1 / 2 - u * (1 / 3)));
  const j = (u * 128 + 0.5) | 0;
  const reciprocal = RECIPROCALS[j] as number;
  const r = u * reciprocal + (reciprocal - 1);
  return (LOGS[j] as number) + r * (1 - r * (1 / 2 - r * (1 / 3 - r * (1 / 4))));
}

/** ln(1 + e^x) = max(x, 0) + ln(1 + e^−|x|). No branch on the sign, which is as good as random. */
function softplus(x: number): number {
  const size = Math.abs(x);
  // x + |x| of −∞ would be NaN.
  return (size < 104 ? (x + size) / 2 : Math.max(x, 0)) + log1p(exp(-size));
}

/** (e^2x − 1) / (e^2x + 1), which cancels near 0. */
function tanh(x: number): number {
  if (Math.abs(x) < 0.01) return x * (1 - x * x * (1 / 3 - (2 / 15) * x * x));
  const square = exp(x > 20 ? 40 : x < -20 ? -40 : 2 * x);
  return (square - 1) / (square + 1);
}

/** Each function has a loop of its own, so that the engine inlines it there. */
const loops: Record<string, (x: TypedArray, y: TypedArray) => void> = {
  [Exp]: (x, y) => {
    for (let i = 0; i < x.length; i++) y[i] = exp(x[i] as number);
  },
  [Softplus]: (x, y) => {
    for (let i = 0; i < x.length; i++) y[i] = softplus(x[i] as number);
  },
  [Tanh]: (x, y) => {
    for (let i = 0; i < x.length; i++) y[i] = tanh(x[i] as number);
  },
  [Sin]: (x, y) => {
    for (let i = 0; i < x.length; i++) y[i] = Math.sin(x[i] as number);
  },
  [Cos]: (x, y) => {
    for (let i = 0; i < x.length; i++) y[i] = Math.cos(x[i] as number);
  },
};

export function installElementwiseKernels(): void {
  for (const [kernelName, loop] of Object.entries(loops)) {
    replaceKernel<{ x: TensorInfo }, object>(kernelName, ({ inputs: { x }, backend }) => {
      if (x.dtype !== 'float32') return undefined;
      const y = backend.makeOutput(x.shape, 'float32');
      loop(backend.typedArrayFromHeap(x), backend.typedArrayFromHeap(y));
      return y;
    });
  }
}
