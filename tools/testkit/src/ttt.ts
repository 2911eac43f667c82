/**
 * TTT-linear as a token recurrence, one head (Sun et al. 2024, "Learning to (Learn at Test Time)", section 2,
 * with the conventions of fla's `ops/ttt`), and the inner loss that it shares with Titans.
 *
 *     z_j = Wᵀk_j + c, G_j = ∂/∂z ½‖w ⊙ LN(z) + b − (v − k)‖², with W and c as at the mini-batch's start
 *     o_i = (W − η_i Σ_{j≤i} k_j G_jᵀ)ᵀ q_i + c − η_i Σ_{j≤i} G_j
 */
import { nd, type NdArray } from './array.ts';
import { addOuter, read, token, type Vector } from './recurrence.ts';

/** w, b [D] and ε of the inner layer norm. */
export interface InnerNorm {
  readonly weight: Vector;
  readonly bias: Vector;
  readonly eps: number;
}

/** G [D], for a memory that answers the key k with z and should have answered v − k. */
export function innerGradient(z: Vector, k: Vector, v: Vector, { weight, bias, eps }: InnerNorm): Vector {
  const mean = (x: Vector) => x.reduce((sum, value) => sum + value, 0) / x.length;
  const centre = mean(z);
  const deviation = Math.sqrt(mean(z.map((value) => (value - centre) ** 2)) + eps);
  const normalised = z.map((value) => (value - centre) / deviation);
  const error = z.map((_, c) => (weight[c]! * normalised[c]! + bias[c]! - (v[c]! - k[c]!)) * weight[c]!);
  const along = mean(error.map((value, c) => value * normalised[c]!));
  const average = mean(error);
  return error.map((value, c) => (value - average - normalised[c]! * along) / deviation);
}

/** What a sequence leaves behind. */
export interface TttLinearState {
  /** W [D, D] and c [D] at the start of the mini-batch. */
  readonly weight: NdArray;
  readonly bias: NdArray;
  /** Σ_j k_j G_jᵀ and Σ_j G_j over its tokens so far. */
  readonly weightGradient: NdArray;
  readonly biasGradient: NdArray;
  /** Number of these tokens. */
  readonly phase: number;
}

export interface TttLinearInputs {
  /** [T, D], scaled. */
  readonly q: NdArray;
  readonly k: NdArray;
  readonly v: NdArray;
  /** [T]. */
  readonly eta: NdArray;
  /** [D]. */
  readonly normWeight: NdArray;
  readonly normBias: NdArray;
  /** Zeros where left out; without gradients and phase it is the start of a sequence. */
  readonly initialState?: Partial<TttLinearState> | undefined;
}

/** Outputs [T, D], before the output norm, and the state after the last token. */
export function tttLinear(
  { q, k, v, eta, normWeight, normBias, initialState = {} }: TttLinearInputs,
  { miniBatch = 16, eps = 1e-6 } = {},
): { output: NdArray; finalState: TttLinearState } {
  const [tokens = 0, width = 0] = q.shape;
  const norm = { weight: normWeight.data, bias: normBias.data, eps };
  const started = (shape: number[], x: NdArray | undefined) => nd(shape, x?.data);
  const weight = started([width, width], initialState.weight);
  const bias = started([width], initialState.bias);
  const weightGradient = started([width, width], initialState.weightGradient);
  const biasGradient = started([width], initialState.biasGradient);
  let phase = initialState.phase ?? 0;

  const output = nd([tokens, width]);
  const descend = (x: NdArray, gradient: NdArray, step: number) =>
    x.data.map((value, i) => value - step * gradient.data[i]!);
  const answer = (w: Vector, c: Vector, x: Vector) => read(w, x, width).map((value, j) => value + c[j]!);
  for (let t = 0; t < tokens; t++) {
    const key = token(k, t);
    const gradient = innerGradient(answer(weight.data, bias.data, key), key, token(v, t), norm);
    addOuter(weightGradient.data, key, gradient);
    gradient.forEach((value, j) => (biasGradient.data[j]! += value));
    const [reached, reachedBias] = [
      descend(weight, weightGradient, eta.data[t]!),
      descend(bias, biasGradient, eta.data[t]!),
    ];
    output.data.set(answer(reached, reachedBias, token(q, t)), t * width);
    phase++;
    if (phase === miniBatch) {
      weight.data.set(reached);
      bias.data.set(reachedBias);
      weightGradient.data.fill(0);
      biasGradient.data.fill(0);
      phase = 0;
    }
  }
  return { output, finalState: { weight, bias, weightGradient, biasGradient, phase } };
}
