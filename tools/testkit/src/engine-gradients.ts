/**
 * Backward of the engines, again token by token: from the last token to the first, carrying the gradient of
 * the state. In the comments dS is the gradient of S_t, X = D_t S_{t−1} the decayed state.
 */
import { nd, type NdArray } from './array.ts';
import {
  bonusWeight,
  deltaRule,
  diagonalDecay,
  dplr,
  subtract,
  type DeltaRuleInputs,
  type DiagonalDecayInputs,
  type DplrInputs,
} from './engines.ts';
import {
  addOuter,
  decayAt,
  read,
  readKeys,
  rowSums,
  scaleRows,
  sizesOf,
  token,
  type Vector,
} from './recurrence.ts';

/** A gradient for every tensor that was given, in its shape; the initial state's always. */
export type EngineGradients<Inputs> = {
  readonly [Name in keyof Omit<Inputs, 'erase' | 'initialState'>]: Inputs[Name];
} & { readonly initialState: NdArray };

/** Gradients of Σ output·dOutput + Σ finalState·dFinalState for {@link diagonalDecay}. */
export function diagonalDecayBackward(
  inputs: DiagonalDecayInputs,
  dOutput: NdArray,
  dFinalState?: NdArray,
): EngineGradients<DiagonalDecayInputs> {
  const { q, k, v, logDecay, bonus } = inputs;
  const { states } = diagonalDecay(inputs);
  const { dk } = sizesOf(inputs, v);
  const gradients = { ...zerosLike({ q, k, v, logDecay }), bonus: bonus && nd([dk]) };
  const initialState = backward(inputs, v, dFinalState, (dState, t, dv) => {
    const dO = token(dOutput, t);
    const before = states[t]!;
    if (!bonus) {
      addOuter(dState, token(q, t), dO);
      set(gradients.q, t, readKeys(states[t + 1]!, dO, dk));
    }
    set(gradients.k, t, readKeys(dState, token(v, t), dk));
    set(gradients.v, t, read(dState, token(k, t), dv));
    backwardThroughDecay(dState, before, logDecay, gradients.logDecay, t, dk, dv);
    if (bonus) {
      const [qt, kt, vt, u] = [token(q, t), token(k, t), token(v, t), bonus.data];
      const delta = dO.reduce((sum, value, j) => sum + value * vt[j]!, 0);
      const weight = bonusWeight(qt, u, kt);
      addOuter(dState, qt, dO);
      set(
        gradients.q,
        t,
        readKeys(before, dO, dk).map((value, c) => value + delta * u[c]! * kt[c]!),
      );
      add(
        gradients.k,
        t,
        qt.map((value, c) => delta * u[c]! * value),
      );
      add(
        gradients.v,
        t,
        dO.map((value) => weight * value),
      );
      qt.forEach((value, c) => (gradients.bonus!.data[c]! += delta * value * kt[c]!));
    }
  });
  return { ...gradients, initialState };
}

/** Gradients of Σ output·dOutput + Σ finalState·dFinalState for {@link deltaRule}. */
export function deltaRuleBackward(
  inputs: DeltaRuleInputs,
  dOutput: NdArray,
  dFinalState?: NdArray,
): EngineGradients<DeltaRuleInputs> {
  const { q, k, y, e, logDecay, erase = 'decayed' } = inputs;
  const { states } = deltaRule(inputs);
  const { dk } = sizesOf(inputs, y);
  const gradients = zerosLike({ q, k, y, e, logDecay });
  const initialState = backward(inputs, y, dFinalState, (dState, t, dv) => {
    const [et, dO] = [token(e, t), token(dOutput, t)];
    const erasedFrom = states[t]!.slice();
    if (erase === 'decayed') scaleRows(erasedFrom, decayAt(logDecay, t, dk), dv);
    const corrected = subtract(token(y, t), read(erasedFrom, et, dv));

    addOuter(dState, token(q, t), dO);
    set(gradients.q, t, readKeys(states[t + 1]!, dO, dk));
    set(gradients.k, t, readKeys(dState, corrected, dk));
    const dCorrected = read(dState, token(k, t), dv);
    set(gradients.y, t, dCorrected);
    set(
      gradients.e,
      t,
      readKeys(erasedFrom, dCorrected, dk).map((value) => -value),
    );
    if (erase === 'decayed') addOuter(dState, et, dCorrected, -1);
    backwardThroughDecay(dState, states[t]!, logDecay, gradients.logDecay, t, dk, dv);
    if (erase === 'undecayed') addOuter(dState, et, dCorrected, -1);
  });
  return { ...gradients, initialState };
}

/** Gradients of Σ output·dOutput + Σ finalState·dFinalState for {@link dplr}. */
export function dplrBackward(
  inputs: DplrInputs,
  dOutput: NdArray,
  dFinalState?: NdArray,
): EngineGradients<DplrInputs> {
  const { q, k, v, a, b, logDecay } = inputs;
  const { states } = dplr(inputs);
  const { dk } = sizesOf(inputs, v);
  const gradients = zerosLike({ q, k, v, a, b, logDecay });
  const initialState = backward(inputs, v, dFinalState, (dState, t, dv) => {
    const dO = token(dOutput, t);
    addOuter(dState, token(q, t), dO);
    set(gradients.q, t, readKeys(states[t + 1]!, dO, dk));
    set(gradients.k, t, readKeys(dState, token(v, t), dk));
    set(gradients.v, t, read(dState, token(k, t), dv));
    const recalled = read(states[t]!, token(a, t), dv);
    const dRecalled = read(dState, token(b, t), dv);
    set(gradients.b, t, readKeys(dState, recalled, dk));
    set(gradients.a, t, readKeys(states[t]!, dRecalled, dk));
    backwardThroughDecay(dState, states[t]!, logDecay, gradients.logDecay, t, dk, dv);
    addOuter(dState, token(a, t), dRecalled);
  });
  return { ...gradients, initialState };
}

/** Runs `step` from the last token to the first; it turns dS_t into dS_{t−1} in place. Returns dS_0. */
function backward(
  inputs: DiagonalDecayInputs | DeltaRuleInputs | DplrInputs,
  value: NdArray,
  dFinalState: NdArray | undefined,
  step: (dState: Vector, t: number, dv: number) => void,
): NdArray {
  const { tokens, dk, dv } = sizesOf(inputs, value);
  const dState = nd([dk, dv], dFinalState?.data);
  for (let t = tokens - 1; t >= 0; t--) step(dState.data, t, dv);
  return dState;
}

/**
 * From the gradient of X to that of S_{t−1}, noting dg = rowsum(dX ⊙ X), summed over channels for a scalar
 * gate.
 */
function backwardThroughDecay(
  dState: Vector,
  before: Vector,
  logDecay: NdArray | undefined,
  gradient: NdArray | undefined,
  t: number,
  dk: number,
  dv: number,
): void {
  scaleRows(dState, decayAt(logDecay, t, dk), dv);
  if (gradient === undefined) return;
  const perChannel = rowSums(dState, before, dv); // the factor D of X is inside dState now
  if (gradient.shape.length === 2) set(gradient, t, perChannel);
  else gradient.data[t] = perChannel.reduce((sum, value) => sum + value, 0);
}

function zerosLike<Tensors extends Record<string, NdArray | undefined>>(tensors: Tensors): Tensors {
  const zeros = Object.entries(tensors).map(([name, tensor]) => [name, tensor && nd(tensor.shape)]);
  return Object.fromEntries(zeros) as Tensors;
}

function set(gradient: NdArray, t: number, values: Vector): void {
  token(gradient, t).set(values);
}

function add(gradient: NdArray, t: number, values: Vector): void {
  const row = token(gradient, t);
  values.forEach((value, i) => (row[i]! += value));
}
