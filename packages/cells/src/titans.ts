// Titans with a linear memory (Behrouz, Zhong & Mirrokni 2024, "Titans: Learning to Memorize at Test Time",
// §3.1): gradient descent with momentum, which also forgets,
//   Z ← η Z − 2θ k Gᵀ ,  M ← (1 − α) M + Z ,  o' = Mᵀ q ,  o = o' + w ⊙ LN(o') + b
//   G = ∂/∂z ½‖w ⊙ LN(z) + b − (v − k)‖²  at  z = Mᵀk , with M as it was at the start of the chunk
//   α = σ(W_α x + b_α) ,  η = σ(W_η x + b_η) ,  θ = σ(W_θ x + b_θ)  for each head
//
// The inner loss is fla's, which has the scan alone; the layer around it is ours: short convolutions with
// silu and normalised queries and keys as in the paper, norm and gate as of the other cells here, and a
// learned memory to start from. The paper's own memory is an MLP of two layers.
import { l2NormPair, titans as scanTitans, type TitansArguments } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  checkCount,
  fill,
  ones,
  sigmoid,
  type Rng,
  type Tensor1D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { initInnerNorm, squareHeads, throughInnerNorm, type InnerNormParams } from './inner-loss.ts';
import { complete } from './options.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

export interface TitansConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d: equal to that of the keys. Default 1. */
  readonly expandV?: number;
  /**
   * Tokens whose gradients are taken at the same memory: what the memory is, not how it is computed.
   * Default 16.
   */
  readonly chunkSize?: number;
  /** Keep η of the last step. Without, it is the rule in the table of the MoM paper. Default true. */
  readonly momentum?: boolean;
  /** Taps of the short convolutions with silu, 0 for none. Default 4. */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default true. */
  readonly gate?: boolean;
  readonly normEps?: number;
}

export interface TitansParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** W_α [heads, d] and b_α */
  readonly alpha_proj: LinearParams;
  /** W_θ [heads, d] and b_θ */
  readonly theta_proj: LinearParams;
  /** W_η [heads, d] and b_η, with momentum. */
  readonly eta_proj?: LinearParams;
  /** w and b of the inner loss. */
  readonly titans_norm: InnerNormParams;
  /** M where a sequence starts, [heads, D, D] */
  readonly M0: Tensor3D;
  /** With the gate, [H·D, d] */
  readonly g_proj?: LinearParams;
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface TitansState extends WindowState<'q' | 'k' | 'v'> {
  /** M less that of the parameters, [sequences, heads, D, D] */
  readonly memory: Tensor4D;
  /** Z, in the same shape; with momentum. */
  readonly momentum?: Tensor4D;
  /** M at the start of the chunk, less that of the parameters. */
  readonly anchor: Tensor4D;
  /** Tokens of the chunk so far, [sequences] */
  readonly phase: Tensor1D;
  readonly [name: string]: TensorTree;
}

interface TitansInputs
  extends WindowState<'q' | 'k' | 'v'>, Omit<TitansArguments, 'initialState' | 'normWeight' | 'normBias'> {
  readonly norm: InnerNormParams;
}

/** Where the gates start: what is kept of the momentum, and what a token forgets. */
const INITIAL_ETA = 0.5;
const INITIAL_ALPHA = 0.01;

const initGate = (rng: Rng, width: number, heads: number, start: number): LinearParams => ({
  ...initLinear(rng, width, heads),
  bias: fill([heads], Math.log(start / (1 - start))) as Tensor1D,
});

/** The Titans memory, whose heads are square. @throws MnemixError `config` */
export function titans(options: TitansConfig): MemoryCell<TitansParams, TitansState, TitansInputs> {
  const config = complete('titans', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    chunkSize: 16,
    momentum: true,
    convolution: 4,
    gate: true,
    normEps: 1e-5,
  });
  const { width, heads, chunkSize, momentum, gate, normEps } = config;
  const headWidth = squareHeads('titans', config);
  const size = heads * headWidth;
  checkCount('titans(chunkSize)', chunkSize);
  const short = convolutions('titans', config.convolution, { q: size, k: size, v: size });
  const square = (sequences: number) => [sequences, heads, headWidth, headWidth];
  // All that comes of a gradient, with what momentum adds, is then 1/D of it, the largest step of TTT-linear.
  const initialTheta = (momentum ? 1 - INITIAL_ETA : 1) / (2 * headWidth);

  return {
    name: 'titans',
    rule: 'titans',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'alpha_proj', 'theta_proj', ...(momentum ? ['eta_proj'] : [])],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, size),
      ...short.init(rng),
      titans_norm: initInnerNorm(heads, headWidth),
      // Small, so that the first writes outweigh it: its answers are normed.
      M0: rng.fold('M0').normal([heads, headWidth, headWidth], 0, 0.02) as Tensor3D,
      ...(gate ? { g_proj: initLinear(rng.fold('g_proj'), width, size) } : {}),
      o_norm: { weight: ones([headWidth]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), size, width),
      k_proj: initLinear(rng.fold('k_proj'), width, size),
      // With gain 1, so that v outweighs the normalised k in what is learned, v − k.
      v_proj: initLinear(rng.fold('v_proj'), width, size, 1),
      alpha_proj: initGate(rng.fold('alpha_proj'), width, heads, INITIAL_ALPHA),
      theta_proj: initGate(rng.fold('theta_proj'), width, heads, initialTheta),
      ...(momentum ? { eta_proj: initGate(rng.fold('eta_proj'), width, heads, INITIAL_ETA) } : {}),
    }),

    stateShape: (sequences) => ({
      memory: square(sequences),
      ...(momentum ? { momentum: square(sequences) } : {}),
      anchor: square(sequences),
      phase: [sequences],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { k, v, alpha, theta } = context.linears({
        k: params.k_proj,
        v: params.v_proj,
        alpha: params.alpha_proj,
        theta: params.theta_proj,
      });
      const q = context.commonLinear(params.q_proj);
      const { values, windows } = short.apply(params, context, { q, k, v });
      const [queries, keys] = l2NormPair(toHeads(values.q, heads), toHeads(values.k, heads));
      return {
        q: queries,
        k: keys,
        v: toHeads(values.v, heads),
        alpha: sigmoid(alpha),
        theta: sigmoid(theta),
        eta: params.eta_proj && sigmoid(context.linear(params.eta_proj)),
        norm: params.titans_norm,
        initialMemory: params.M0,
        windows,
      };
    },

    scan: ({ windows, norm, ...inputs }, state, sequences) => {
      // A query is asked as a key was learned: unscaled.
      const { o, state: next } = scanTitans(
        { ...inputs, normWeight: norm.weight, normBias: norm.bias, initialState: state },
        { sequences, chunkSize, scale: 1 },
      );
      return {
        o: throughInnerNorm(o as Tensor3D, norm, sequences),
        state: { ...next, windows } as TitansState,
      };
    },

    tokenLayers: queryAndGate,

    readout: ({ o_norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: o_norm, o_proj, g_proj }, o, map, normEps),
  };
}
