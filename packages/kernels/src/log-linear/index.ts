// Log-linear attention: a memory for each level of a Fenwick tree of positions, read with scales of their
// own.
import { add, cast, checkConfig, checkShapes, zeros, type Tensor } from '@mnemix/tensor';
import { portableForm, sequenceTensors, type ScanOptions } from '../portable/scan-options.ts';
import { logLinearChunk } from './chunk.ts';
import { remainder } from './places.ts';
import { logLinearRecurrent } from './recurrent.ts';

/** What is left behind by a sequence, and where it stands. */
export interface LogLinearState {
  /** The memory of each level as the last token saw it, [S, H, L, dk, dv]. */
  readonly memory: Tensor;
  /** Tokens so far, modulo 2^23, which is a multiple of the period of every tree: float32 [S]. */
  readonly position: Tensor;
}

export interface LogLinearArguments {
  /** Queries [N, H, dk]. */
  readonly q: Tensor;
  /** Keys [N, H, dk]. */
  readonly k: Tensor;
  /** Values [N, H, dv]. */
  readonly v: Tensor;
  /** g ≤ 0, the natural logarithm of the decay, [N, H]. */
  readonly logDecay: Tensor;
  /** λ, with which each token reads each level, [N, H, L]: L is the number of levels, at most 24. */
  readonly levelScales: Tensor;
  /** Zeros, and positions from 0, if left out. */
  readonly initialState?: LogLinearState | undefined;
}

export interface LogLinearDeltaArguments extends LogLinearArguments {
  /** Strength of the correction [N, H], in [0, 2]. */
  readonly beta: Tensor;
}

export interface LogLinearOptions extends Omit<ScanOptions, 'chunkSize'> {
  /** Tokens that the chunk form takes at once, a power of 2. 32 if left out. */
  readonly chunkSize?: number | undefined;
}

export interface LogLinearResult {
  /** [N, H, dv], 0 in rows of no sequence. */
  readonly o: Tensor;
  readonly state: LogLinearState;
}

/**
 * Log-linear attention over a memory that decays (log-linear Mamba-2): for each sequence and head,
 *
 *     o_t = scale · Σ_ℓ λ_t^(ℓ) S_t^(ℓ)ᵀ q_t        Σ_ℓ S^(ℓ) as in `diagonalDecay`
 *
 * Seen from token t, an earlier token j lies in level bitlength(t xor j), and t itself in level 0: the longer
 * ago, the more tokens share a level. 2^(L−1) tokens fill L levels; the top one also takes all that is older.
 * Positions count from the sequence's first token, also where a state is carried. As a rule for token t > 0,
 * with c trailing zero bits of t: levels 0 … c are merged into c+1, all levels decay, and k vᵀ is written to
 * level 0. A memory that is there at position 0 is older than every token, and read at the top level.
 *
 * Differentiable in all tensors but `position`. See "Log-Linear Attention" (arXiv 2506.04761), section 3.
 *
 * @throws MnemixError `shape` or `config`
 */
export const logLinearDecay = (tensors: LogLinearArguments, options: LogLinearOptions): LogLinearResult =>
  logLinear('logLinearDecay', tensors, options);

/**
 * Log-linear attention over the gated delta rule (log-linear Gated DeltaNet): as {@link logLinearDecay}, with
 *
 *     S^(ℓ) ← e^g (I − β k kᵀ) S^(ℓ)        S^(0) ← S^(0) + β k vᵀ
 *
 * in place of the decay and the write, so that Σ_ℓ S^(ℓ) is the state of `deltaRule`.
 *
 * @throws MnemixError `shape` or `config`
 */
export const logLinearDelta = (
  tensors: LogLinearDeltaArguments,
  options: LogLinearOptions,
): LogLinearResult => logLinear('logLinearDelta', tensors, options);

/**
 * A tree of 24 levels repeats after so many tokens. With as many more in a call, positions are exact in
 * float32.
 */
const POSITIONS = 2 ** 23;

function logLinear(
  where: string,
  tensors: LogLinearArguments & { readonly beta?: Tensor },
  options: LogLinearOptions,
): LogLinearResult {
  const { q, k, v, logDecay, levelScales, beta, initialState } = tensors;
  const { sequences, chunkSize = 32, form } = options;
  const { rows, count, maxLength, uniform, lengths } = sequences;
  const sizes = checkShapes(where, {
    q: [q, [rows, 'H', 'dk']],
    k: [k, [rows, 'H', 'dk']],
    v: [v, [rows, 'H', 'dv']],
    logDecay: [logDecay, [rows, 'H']],
    levelScales: [levelScales, [rows, 'H', 'L']],
    beta: [beta, [rows, 'H']],
    'initialState.memory': [initialState?.memory, [count, 'H', 'L', 'dk', 'dv']],
    'initialState.position': [initialState?.position, [count]],
  });
  const { H = 0, dk = 0, dv = 0, L = 0 } = sizes;
  checkConfig(
    L >= 1 && L <= 24,
    `${where}(levelScales)`,
    `expected 1 to 24 levels, found ${L}.`,
    'Pass scales of as many levels as the longest sequence needs: ⌊log2 T⌋ + 2.',
  );
  checkConfig(
    Number.isInteger(Math.log2(chunkSize)) && chunkSize >= 1,
    `${where}(chunkSize)`,
    `expected a power of 2, found ${chunkSize}.`,
    'Pass chunkSize: 32, or leave it out.',
  );
  const passed = cast(lengths, 'float32');
  const position = initialState ? remainder(add(initialState.position, passed), POSITIONS) : passed;
  if (maxLength === 0) {
    const memory = initialState?.memory.clone() ?? zeros([count, H, L, dk, dv]);
    return { o: zeros([rows, H, dv]), state: { memory, position } };
  }
  const inputs = { q, k, v, logDecay, levelScales, beta, ...initialState };
  const attrs = { rows, count, maxLength, uniform, scale: options.scale ?? dk ** -0.5, chunkSize, form };
  const run = portableForm(attrs) === 'chunk' ? logLinearChunk : logLinearRecurrent;
  const { o, memory } = run({ ...inputs, ...sequenceTensors(sequences) }, attrs);
  return { o, state: { memory, position } };
}
