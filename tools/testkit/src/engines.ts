/**
 * The engines as token recurrences, one head (backward: engine-gradients.ts).
 * Every step is the definition itself; nothing is chunked. Rows are tokens, the state S is [dk, dv], and the
 * factor dk^-1/2 is already inside q. `logDecay` is absent (no decay), [T] (one gate a token) or [T, dk] (one
 * a channel); D_t = Diag(e^{logDecay_t}).
 */
import { nd, type NdArray } from './array.ts';
import { addOuter, decayAt, read, scaleRows, scanTokens, sizesOf, token, type Vector } from './recurrence.ts';

/** Outputs [T, dv] and the state [dk, dv] after the last token. */
export interface EngineResult {
  readonly output: NdArray;
  readonly finalState: NdArray;
  /** `states[t]`: the row-major state before token t. */
  readonly states: readonly Vector[];
}

/** S ← D S + k vᵀ. */
export interface DiagonalDecayInputs {
  /** [T, dk], scaled. */
  readonly q: NdArray;
  /** [T, dk]. */
  readonly k: NdArray;
  /** [T, dv]. */
  readonly v: NdArray;
  readonly logDecay?: NdArray | undefined;
  /** u [dk]. Given: reads before the update, o = (S_{t−1} + Diag(u) k vᵀ)ᵀ q (RWKV-6). */
  readonly bonus?: NdArray | undefined;
  /** [dk, dv], zeros if absent. */
  readonly initialState?: NdArray | undefined;
}

/** v̂ = y − Xᵀe ; S ← D S + k v̂ᵀ ; o = Sᵀq. */
export interface DeltaRuleInputs {
  readonly q: NdArray;
  /** Write key [T, dk]. */
  readonly k: NdArray;
  /** Write value [T, dv]: β v in the delta family. */
  readonly y: NdArray;
  /** Erase key [T, dk]: β k in the delta family. */
  readonly e: NdArray;
  readonly logDecay?: NdArray | undefined;
  readonly initialState?: NdArray | undefined;
  /** The state X that e reads: 'decayed' D S (default; exponent ρ = b) or 'undecayed' S (ρ = p, Comba). */
  readonly erase?: 'decayed' | 'undecayed' | undefined;
}

/** S ← D S + b (aᵀS) + k vᵀ ; o = Sᵀq. */
export interface DplrInputs {
  readonly q: NdArray;
  readonly k: NdArray;
  readonly v: NdArray;
  /** Reads the undecayed state [T, dk]. */
  readonly a: NdArray;
  /** [T, dk]. */
  readonly b: NdArray;
  readonly logDecay?: NdArray | undefined;
  readonly initialState?: NdArray | undefined;
}

/** Linear attention, RetNet, Mamba-2, GLA, HGRN2; with `bonus` RWKV-6. */
export function diagonalDecay(inputs: DiagonalDecayInputs): EngineResult {
  const { q, k, v, logDecay, bonus } = inputs;
  return run(inputs, v, (state, t, dk, dv) => {
    const before = read(state, token(q, t), dv);
    scaleRows(state, decayAt(logDecay, t, dk), dv);
    addOuter(state, token(k, t), token(v, t));
    if (bonus === undefined) return read(state, token(q, t), dv);
    const weight = bonusWeight(token(q, t), bonus.data, token(k, t));
    return before.map((value, j) => value + weight * token(v, t)[j]!);
  });
}

/** DeltaNet, Gated DeltaNet, KDA, GDN-2, DeltaProduct; with `erase: 'undecayed'` Comba. */
export function deltaRule(inputs: DeltaRuleInputs): EngineResult {
  const { q, k, y, e, logDecay, erase = 'decayed' } = inputs;
  return run(inputs, y, (state, t, dk, dv) => {
    const undecayed = read(state, token(e, t), dv);
    scaleRows(state, decayAt(logDecay, t, dk), dv);
    const erased = erase === 'undecayed' ? undecayed : read(state, token(e, t), dv);
    addOuter(state, token(k, t), subtract(token(y, t), erased));
    return read(state, token(q, t), dv);
  });
}

/** Diagonal plus low rank: RWKV-7, IPLR. */
export function dplr(inputs: DplrInputs): EngineResult {
  const { q, k, v, a, b, logDecay } = inputs;
  return run(inputs, v, (state, t, dk, dv) => {
    const recalled = read(state, token(a, t), dv);
    scaleRows(state, decayAt(logDecay, t, dk), dv);
    addOuter(state, token(b, t), recalled);
    addOuter(state, token(k, t), token(v, t));
    return read(state, token(q, t), dv);
  });
}

/** q · (u ⊙ k): the weight with which RWKV-6 reads the current token's value. */
export function bonusWeight(q: Vector, u: Vector, k: Vector): number {
  return q.reduce((sum, value, c) => sum + value * u[c]! * k[c]!, 0);
}

/** x − y. */
export function subtract(x: Vector, y: Vector): Vector {
  return x.map((value, j) => value - y[j]!);
}

function run(
  inputs: DiagonalDecayInputs | DeltaRuleInputs | DplrInputs,
  value: NdArray,
  step: (state: Vector, t: number, dk: number, dv: number) => Vector,
): EngineResult {
  const sizes = sizesOf(inputs, value);
  const { dk, dv } = sizes;
  const { output, states } = scanTokens(inputs, sizes, (state, t) => step(state, t, dk, dv));
  return { output, states, finalState: nd([dk, dv], states.at(-1)) };
}
