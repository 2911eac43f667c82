/**
 * Titans with a linear memory as a token recurrence, one head (Behrouz et al. 2024, "Titans: Learning to
 * Memorize at Test Time", section 3.1, with the inner loss of fla's `ops/titans`; its gradient is the correct
 * one).
 *
 *     z_t = Mᵀk_t, G_t = ∂/∂z ½‖w ⊙ LN(z) + b − (v − k)‖², with M as at the chunk's start
 *     Z ← η Z − 2 θ k Gᵀ        M ← (1 − α) M + Z        o = Mᵀ q
 */
import { nd, type NdArray } from './array.ts';
import { addOuter, read, token } from './recurrence.ts';
import { innerGradient } from './ttt.ts';

/** What a sequence leaves behind. */
export interface TitansState {
  /** M, Z, and M at the start of the chunk: [D, D]. */
  readonly memory: NdArray;
  readonly momentum: NdArray;
  readonly anchor: NdArray;
  /** Tokens of the chunk so far. */
  readonly phase: number;
}

export interface TitansInputs {
  /** [T, D], scaled. */
  readonly q: NdArray;
  readonly k: NdArray;
  readonly v: NdArray;
  /** Forgetting [T]. */
  readonly alpha: NdArray;
  /** Step size [T]. */
  readonly theta: NdArray;
  /** Decay of the momentum [T]; zeros if left out: no momentum. */
  readonly eta?: NdArray | undefined;
  /** [D]. */
  readonly normWeight: NdArray;
  readonly normBias: NdArray;
  /** Zeros where left out; the anchor is the memory then. */
  readonly initialState?: Partial<TitansState> | undefined;
}

/** Outputs [T, D], before the output norm, and the state after the last token. */
export function titans(
  { q, k, v, alpha, theta, eta, normWeight, normBias, initialState = {} }: TitansInputs,
  { chunkSize = 16, eps = 1e-6 } = {},
): { output: NdArray; finalState: TitansState } {
  const [tokens = 0, width = 0] = q.shape;
  const norm = { weight: normWeight.data, bias: normBias.data, eps };
  const shape = [width, width];
  const memory = nd(shape, initialState.memory?.data);
  const momentum = nd(shape, initialState.momentum?.data);
  const anchor = nd(shape, (initialState.anchor ?? memory).data);
  let phase = initialState.phase ?? 0;

  const output = nd([tokens, width]);
  for (let t = 0; t < tokens; t++) {
    const key = token(k, t);
    const gradient = innerGradient(read(anchor.data, key, width), key, token(v, t), norm);
    momentum.data.forEach((value, i) => (momentum.data[i] = (eta?.data[t] ?? 0) * value));
    addOuter(momentum.data, key, gradient, -2 * theta.data[t]!);
    memory.data.forEach((value, i) => (memory.data[i] = (1 - alpha.data[t]!) * value + momentum.data[i]!));
    output.data.set(read(memory.data, token(q, t), width), t * width);
    phase = (phase + 1) % chunkSize;
    if (phase === 0) anchor.data.set(memory.data);
  }
  return { output, finalState: { memory, momentum, anchor, phase } };
}
