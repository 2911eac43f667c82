/**
 * The memory of MesaNet as a token recurrence, one head, each token's system solved exactly (von Oswald et
 * al. 2025, "MesaNet: Sequence Modeling by Locally Optimal Test-Time Training", sections 2 and 3).
 *
 *     H_kk ← e^g H_kk + β k kᵀ        H_kv ← e^g H_kv + β k vᵀ        o = H_kvᵀ (H_kk + Diag λ)^{-1} q
 */
import { nd, type NdArray } from './array.ts';
import { addOuter, decayAt, read, scaleRows, token, type Vector } from './recurrence.ts';

/** What a sequence leaves behind. */
export interface MesaState {
  /** H_kk [dk, dk], symmetric. */
  readonly keys: NdArray;
  /** H_kv [dk, dv]. */
  readonly values: NdArray;
}

export interface MesaInputs {
  /** [T, dk]. */
  readonly q: NdArray;
  readonly k: NdArray;
  /** [T, dv]. */
  readonly v: NdArray;
  /** [T]. */
  readonly beta: NdArray;
  readonly logDecay: NdArray;
  /** λ [dk]. */
  readonly ridge: NdArray;
  /** Zeros where left out. */
  readonly initialState?: Partial<MesaState> | undefined;
}

/** Outputs [T, dv] and the state after the last token. */
export function mesa({ q, k, v, beta, logDecay, ridge, initialState = {} }: MesaInputs): {
  output: NdArray;
  finalState: MesaState;
} {
  const [tokens = 0, dk = 0] = q.shape;
  const dv = v.shape[1]!;
  const keys = nd([dk, dk], initialState.keys?.data);
  const values = nd([dk, dv], initialState.values?.data);
  const output = nd([tokens, dv]);
  for (let t = 0; t < tokens; t++) {
    const weighted = token(k, t).map((x) => x * beta.data[t]!);
    const decay = decayAt(logDecay, t, dk);
    scaleRows(keys.data, decay, dk);
    scaleRows(values.data, decay, dv);
    addOuter(keys.data, weighted, token(k, t));
    addOuter(values.data, weighted, token(v, t));
    const system = keys.data.slice();
    ridge.data.forEach((penalty, c) => (system[c * dk + c]! += penalty));
    output.data.set(read(values.data, solvePositive(system, token(q, t)), dv), t * dv);
  }
  return { output, finalState: { keys, values } };
}

/**
 * A^{-1} b of a symmetric positive definite A [n, n], of which only the lower half is read, by A = L Lᵀ.
 * @throws RangeError if A is not positive definite.
 */
export function solvePositive(a: Vector, b: Vector): Vector {
  const n = b.length;
  const lower = a.slice();
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let rest = a[i * n + j]!;
      for (let m = 0; m < j; m++) rest -= lower[i * n + m]! * lower[j * n + m]!;
      if (i === j && !(rest > 0)) throw new RangeError(`solvePositive: pivot ${i} is ${rest}`);
      lower[i * n + j] = i === j ? Math.sqrt(rest) : rest / lower[j * n + j]!;
    }
  }
  const x = b.slice();
  for (let i = 0; i < n; i++) {
    for (let m = 0; m < i; m++) x[i]! -= lower[i * n + m]! * x[m]!;
    x[i]! /= lower[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let m = i + 1; m < n; m++) x[i]! -= lower[m * n + i]! * x[m]!;
    x[i]! /= lower[i * n + i]!;
  }
  return x;
}
