// o = H_kvᵀ (H_kk + Diag(λ))^{-1} q: a memory that answers with the ridge regression of all it was told.
import { checkConfig, checkShapes, expandDims, mul, zeros, type Tensor } from '@mnemix/tensor';
import { diagonalDecayOp } from '../diagonal-decay/op.ts';
import { withoutKept } from '../portable/kept.ts';
import { scanAttrs, sequenceTensors, type ScanOptions } from '../portable/scan-options.ts';
import { mesaSolve } from './op.ts';

/** What is carried from call to call: Σ of the decayed β k kᵀ and of β k vᵀ. Zeros are the empty state. */
export type MesaState = {
  /** H_kk [S, H, dk, dk]: symmetric and positive semidefinite, which is taken for granted. */
  readonly keys: Tensor;
  /** H_kv [S, H, dk, dv]. */
  readonly values: Tensor;
};

export interface MesaArguments {
  /** Queries [N, H, dk]. */
  readonly q: Tensor;
  /** Keys [N, H, dk]. */
  readonly k: Tensor;
  /** Values [N, H, dv]. */
  readonly v: Tensor;
  /** Weight of each token in the regression, ≥ 0: [N, H]. */
  readonly beta: Tensor;
  /** g ≤ 0, the natural logarithm of the decay: [N, H]. */
  readonly logDecay: Tensor;
  /** λ > 0, the penalty on each key channel: [H, dk]. Not checked, since it would have to be read back. */
  readonly ridge: Tensor;
  /** Zeros if left out. */
  readonly initialState?: MesaState | undefined;
}

export interface MesaOptions extends Omit<ScanOptions, 'scale'> {
  /**
   * Steps of the solver at most. 30 if left out. Measured over 2,048 tokens of unit keys without decay, dk 16
   * to 64, λ of 0.25 or more: that leaves nothing but rounding where the channels of the keys are alike, or
   * the keys are (20 steps nearly do). Unequal channels take more: 30 steps leave an error of up to 1e-4 of o
   * where channel c falls off as c^-½, and of 2e-3 where it does as 1 / c. Gradients are as exact as o.
   */
  readonly steps?: number | undefined;
  /**
   * Where the residual of a token is down to this part of its query, its solution is final. 1e-6 if left out,
   * near what rounding leaves. A larger one saves time on WASM only, where the last token ends the steps.
   */
  readonly tolerance?: number | undefined;
}

/**
 * The memory of MesaNet: for each sequence and head, token by token,
 *
 *     H_kk ← e^g H_kk + β k kᵀ        H_kv ← e^g H_kv + β k vᵀ        o = H_kvᵀ (H_kk + Diag(λ))^{-1} q
 *
 * the answer W q of the linear map W that minimises Σ β ‖W k − v‖² + ‖W Diag(λ)^½‖² over the tokens so far,
 * the sum decayed. See "MesaNet: Sequence Modeling by Locally Optimal Test-Time Training" (arXiv 2506.05233),
 * sections 2 and 3. Differentiable in all tensors; that of the initial `keys` is meant for symmetric changes.
 *
 * The systems of all tokens are solved at once by conjugate gradients, preconditioned by Diag(λ). Rounding
 * costs about 6e-8 times the condition number, 1 + ‖H_kk‖ / λ: 1e-4 of o after 2,048 tokens whose keys are
 * nearly parallel, λ is 0.25 and nothing decays; 1e-6 where they are drawn independently.
 *
 * @returns o [N, H, dv], 0 in rows of no sequence; the state after each sequence's last token
 * @throws MnemixError `shape` or `config`
 */
export function mesa(tensors: MesaArguments, options: MesaOptions): { o: Tensor; state: MesaState } {
  const { q, k, v, beta, logDecay, ridge, initialState } = tensors;
  const { sequences, steps = 30, tolerance = 1e-6 } = options;
  const { rows, count } = sequences;
  const sizes = checkShapes('mesa', {
    q: [q, [rows, 'H', 'dk']],
    k: [k, [rows, 'H', 'dk']],
    v: [v, [rows, 'H', 'dv']],
    beta: [beta, [rows, 'H']],
    logDecay: [logDecay, [rows, 'H']],
    ridge: [ridge, ['H', 'dk']],
    'initialState.keys': [initialState?.keys, [count, 'H', 'dk', 'dk']],
    'initialState.values': [initialState?.values, [count, 'H', 'dk', 'dv']],
  });
  checkConfig(
    Number.isInteger(steps) && steps > 0,
    'mesa(steps)',
    `expected a positive integer, found ${steps}.`,
    'Pass steps: 30, or leave it out.',
  );
  checkConfig(
    tolerance >= 0 && tolerance < 1,
    'mesa(tolerance)',
    `expected a number from 0 to below 1, found ${tolerance}.`,
    'Pass tolerance: 1e-6, or leave it out.',
  );
  const attrs = scanAttrs('mesa', { ...options, scale: 1 }, sizes);
  if (sequences.maxLength === 0) {
    const { H = 0, dk = 0, dv = 0 } = sizes;
    const { keys = zeros([count, H, dk, dk]), values = zeros([count, H, dk, dv]) } = initialState ?? {};
    return { o: zeros([rows, H, dv]), state: { keys: keys.clone(), values: values.clone() } };
  }
  const places = sequenceTensors(sequences);
  const weight = expandDims(beta, 2);
  const { x, state: keys } = mesaSolve(
    { q, k, v: mul(weight, k), logDecay, ridge, initialState: initialState?.keys, ...places },
    { ...attrs, steps, tolerance },
  );
  const { o, state: values } = withoutKept(
    diagonalDecayOp(
      { q: x, k, v: mul(weight, v), logDecay, initialState: initialState?.values, ...places },
      attrs,
    ),
  );
  return { o, state: { keys, values } };
}
