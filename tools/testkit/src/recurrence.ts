/**
 * What the engines' forward and backward recurrences share: a state [dk, dv] and its elementary operations.
 */
import { nd, type NdArray } from './array.ts';

/** One row of a matrix. */
export type Vector = Float64Array;

/** Sizes of one head's sequence. */
export interface Sizes {
  readonly tokens: number;
  readonly dk: number;
  readonly dv: number;
}

interface HeadInputs {
  readonly q: NdArray;
  readonly k: NdArray;
  readonly e?: NdArray;
  readonly a?: NdArray;
  readonly b?: NdArray;
  readonly logDecay?: NdArray | undefined;
  readonly initialState?: NdArray | undefined;
}

/**
 * Reads the sizes of one head off its inputs; `value` is v or y.
 * @throws RangeError if a shape does not fit the others.
 */
export function sizesOf(inputs: HeadInputs, value: NdArray): Sizes {
  const [tokens = 0, dk = 0] = inputs.q.shape;
  const dv = value.shape[1] ?? 0;
  const expectShape = (name: string, found: NdArray | undefined, ...allowed: number[][]): void => {
    if (found !== undefined && !allowed.some((shape) => shape.join() === found.shape.join())) {
      const wanted = allowed.map((shape) => `[${shape}]`).join(' or ');
      throw new RangeError(`engine: ${name} has shape [${found.shape}], expected ${wanted}`);
    }
  };
  expectShape('q', inputs.q, [tokens, dk]);
  expectShape('value', value, [tokens, dv]);
  for (const name of ['k', 'e', 'a', 'b'] as const) expectShape(name, inputs[name], [tokens, dk]);
  expectShape('logDecay', inputs.logDecay, [tokens], [tokens, dk]);
  expectShape('initialState', inputs.initialState, [dk, dv]);
  return { tokens, dk, dv };
}

/** Row t of a [T, width] array, a view. */
export function token(a: NdArray, t: number): Vector {
  const width = a.shape[1]!;
  return a.data.subarray(t * width, (t + 1) * width);
}

/** The dk decay factors e^{logDecay_t}. */
export function decayAt(logDecay: NdArray | undefined, t: number, dk: number): Vector {
  if (logDecay === undefined) return new Float64Array(dk).fill(1);
  if (logDecay.shape.length === 1) return new Float64Array(dk).fill(Math.exp(logDecay.data[t]!));
  return token(logDecay, t).map(Math.exp);
}

/** Sᵀ x: x [dk] → [dv]. */
export function read(state: Vector, x: Vector, dv: number): Vector {
  const result = new Float64Array(dv);
  x.forEach((weight, c) => {
    for (let j = 0; j < dv; j++) result[j]! += weight * state[c * dv + j]!;
  });
  return result;
}

/** S x: x [dv] → [dk]. */
export function readKeys(state: Vector, x: Vector, dk: number): Vector {
  const result = new Float64Array(dk);
  for (let c = 0; c < dk; c++) x.forEach((weight, j) => (result[c]! += weight * state[c * x.length + j]!));
  return result;
}

/** S ← S + sign · x yᵀ. */
export function addOuter(state: Vector, x: Vector, y: Vector, sign = 1): void {
  x.forEach((a, c) => y.forEach((b, j) => (state[c * y.length + j]! += sign * a * b)));
}

/** S ← Diag(factors) S. */
export function scaleRows(state: Vector, factors: Vector, dv: number): void {
  factors.forEach((factor, c) => {
    for (let j = 0; j < dv; j++) state[c * dv + j]! *= factor;
  });
}

/** Row sums of A ⊙ B, both [dk, dv]. */
export function rowSums(a: Vector, b: Vector, dv: number): Vector {
  const sums = new Float64Array(a.length / dv);
  a.forEach((value, i) => (sums[Math.floor(i / dv)]! += value * b[i]!));
  return sums;
}

/**
 * Runs `step` over all tokens. It changes the state in place and returns the token's output [dv].
 * `states[t]` is the state before token t, `states[T]` the final one.
 */
export function scanTokens(
  inputs: HeadInputs,
  { tokens, dk, dv }: Sizes,
  step: (state: Vector, t: number) => Vector,
): { output: NdArray; states: Vector[] } {
  const output = nd([tokens, dv]);
  const state = nd([dk, dv], inputs.initialState?.data).data;
  const states = [state.slice()];
  for (let t = 0; t < tokens; t++) {
    output.data.set(step(state, t), t * dv);
    states.push(state.slice());
  }
  return { output, states };
}
