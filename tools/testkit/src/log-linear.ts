/**
 * Log-linear attention (arXiv 2506.04761), one head: o_t = Σ_ℓ λ_t^(ℓ) S_t^(ℓ)ᵀ q_t. Once from the
 * definition, with the level of every earlier token and the product of all transitions behind it, in O(T²);
 * once as the decode rule.
 *
 * Seen from t, token j is in level bitlength(t xor j), at most L−1. A transition is A_t = e^{g_t} (I − β_t
 * k_t k_tᵀ), or e^{g_t} without β; a write is w_t v_tᵀ with w_t = β_t k_t, or k_t.
 */
import { nd, type NdArray } from './array.ts';
import { addOuter, read, token, type Vector } from './recurrence.ts';

export interface LogLinearInputs {
  /** [T, dk], scaled. */
  readonly q: NdArray;
  /** [T, dk]. */
  readonly k: NdArray;
  /** [T, dv]. */
  readonly v: NdArray;
  /** [T]. */
  readonly logDecay: NdArray;
  /** λ [T, L]. */
  readonly levelScales: NdArray;
  /** [T]. Given: the gated delta rule. */
  readonly beta?: NdArray | undefined;
  /** [L, dk, dv], as it was after token `position`−1; zeros if absent. */
  readonly memory?: NdArray | undefined;
  /** Tokens of the sequence before the first of these, 0 if absent. */
  readonly position?: number | undefined;
}

export interface LogLinearResult {
  /** [T, dv]. */
  readonly output: NdArray;
  /** [L, dk, dv] after the last token. */
  readonly memory: NdArray;
  readonly position: number;
}

/**
 * Level of position j seen from t ≥ j; what was there before position 0 is older than a tree of any height
 * reaches.
 */
function levelOf(t: number, j: number, levels: number): number {
  return Math.min(j < 0 ? Infinity : 32 - Math.clz32(t ^ j), levels - 1);
}

/**
 * The definition. A memory that is carried in at level m is the run of tokens that level m held at
 * `position`−1.
 */
export function logLinear(inputs: LogLinearInputs): LogLinearResult {
  const { q, v, levelScales, position: first = 0 } = inputs;
  const [tokens = 0, dk = 0] = q.shape;
  const [dv, levels] = [v.shape[1]!, levelScales.shape[1]!];
  const carried = nd([levels, dk, dv], inputs.memory?.data);
  const carriedLevel = (level: number, t: number) => Math.max(level, levelOf(first + t, first - 1, levels));
  const slot = (memory: NdArray, level: number) =>
    memory.data.subarray(level * dk * dv, (level + 1) * dk * dv);

  const output = nd([tokens, dv]);
  for (let t = 0; t < tokens; t++) {
    // q_tᵀ A_t … A_{j+1}, from j = t down to the token before the first.
    let query: Vector = token(q, t).slice();
    const see = (values: Vector, weight: number) =>
      values.forEach((value, c) => (output.data[t * dv + c]! += weight * value));
    for (let j = t; j >= 0; j--) {
      const scale = token(levelScales, t)[levelOf(first + t, first + j, levels)]!;
      see(token(v, j), scale * product(query, writeKey(inputs, j)));
      query = transition(inputs, j, query);
    }
    for (let level = 0; level < levels; level++) {
      see(read(slot(carried, level), query, dv), token(levelScales, t)[carriedLevel(level, t)]!);
    }
  }

  const memory = nd([levels, dk, dv]);
  const last = tokens - 1;
  for (let j = 0; j < tokens; j++) {
    let key: Vector = writeKey(inputs, j);
    for (let s = j + 1; s < tokens; s++) key = transition(inputs, s, key);
    addOuter(slot(memory, levelOf(first + last, first + j, levels)), key, token(v, j));
  }
  for (let level = 0; level < levels; level++) {
    let state: Vector = slot(carried, level).slice();
    for (let s = 0; s < tokens; s++) state = transitionOfState(inputs, s, state, dv);
    const target = slot(memory, tokens === 0 ? level : carriedLevel(level, last));
    state.forEach((value, i) => (target[i]! += value));
  }
  return { output, memory, position: first + tokens };
}

/** The decode rule: merge the levels that are full, decay and erase, write to level 0, read every level. */
export function logLinearRecurrence(inputs: LogLinearInputs): LogLinearResult {
  const { q, v, levelScales, position: first = 0 } = inputs;
  const [tokens = 0, dk = 0] = q.shape;
  const [dv, levels] = [v.shape[1]!, levelScales.shape[1]!];
  const output = nd([tokens, dv]);
  let states: Vector[] = Array.from({ length: levels }, (_, level) =>
    nd([levels, dk, dv], inputs.memory?.data).data.slice(level * dk * dv, (level + 1) * dk * dv),
  );
  for (let t = 0; t < tokens; t++) {
    let trailingZeros = 0;
    while (trailingZeros < levels && (first + t) % 2 ** (trailingZeros + 1) === 0) trailingZeros++;
    const target = Math.min(trailingZeros + 1, levels - 1);
    for (let level = 0; level < target; level++) {
      states[level]!.forEach((value, i) => (states[target]![i]! += value));
      states[level]!.fill(0);
    }
    states = states.map((state) => transitionOfState(inputs, t, state, dv));
    addOuter(states[0]!, writeKey(inputs, t), token(v, t));
    states.forEach((state, level) => {
      const scale = token(levelScales, t)[level]!;
      read(state, token(q, t), dv).forEach((value, c) => (output.data[t * dv + c]! += scale * value));
    });
  }
  const memory = nd(
    [levels, dk, dv],
    states.flatMap((state) => Array.from(state)),
  );
  return { output, memory, position: first + tokens };
}

const product = (a: Vector, b: Vector): number => a.reduce((sum, value, c) => sum + value * b[c]!, 0);

function writeKey({ k, beta }: LogLinearInputs, t: number): Vector {
  return token(k, t).map((value) => value * (beta?.data[t] ?? 1));
}

/** A_t x = xᵀ A_t, since A_t is symmetric. */
function transition({ k, logDecay, beta }: LogLinearInputs, t: number, x: Vector): Vector {
  const key = token(k, t);
  const erased = (beta?.data[t] ?? 0) * product(key, x);
  return x.map((value, c) => Math.exp(logDecay.data[t]!) * (value - erased * key[c]!));
}

/** A_t S. */
function transitionOfState(
  { k, logDecay, beta }: LogLinearInputs,
  t: number,
  state: Vector,
  dv: number,
): Vector {
  const result = state.slice();
  const strength = beta?.data[t] ?? 0;
  if (strength !== 0) addOuter(result, token(k, t), read(state, token(k, t), dv), -strength);
  const decay = Math.exp(logDecay.data[t]!);
  return result.map((value) => decay * value);
}
