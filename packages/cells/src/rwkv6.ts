// RWKV-6 (Peng et al. 2024, "Eagle and Finch: RWKV with Matrix-Valued States and Dynamic Recurrence"): a
// memory that is read before it is written,
//   o = (S + Diag(u) k vᵀ)ᵀ r ,  S ← Diag(e^w) S + k vᵀ ,  w = −e^{W₂ tanh(W₁ x_w) + b}  for each key channel
//   y = W_o( GroupNorm(o) ⊙ silu(W_g x_g) )
// where r, w, k, v and g each see their own mix of the token and the one before it, which depends on both:
//   x_n = x + δ ⊙ (W_n tanh(W (x + δ ⊙ μ)) + b_n) ,  δ_t = x_{t−1} − x_t
// Parameters and computation are fla's. Mixes, decays, u and the norm start as in the authors'
// implementation, matrices as in fla.
import { diagonalDecay, swiGlu } from '@mnemix/kernels';
import {
  initialMix,
  initLinear,
  linear,
  mixShifted,
  SHIFT_TAPS,
  tokenShift,
  type CellParams,
  type LinearParams,
  type MemoryCell,
  type ShiftedLinearParams,
} from '@mnemix/layers';
import {
  checkCount,
  exp,
  minimum,
  neg,
  split,
  tanh,
  tensor1d,
  tensor2d,
  unstack,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { groupNorm, initGroupNorm, type GroupNormParams } from './group-norm.ts';
import { fromHeads, toHeads } from './heads.ts';
import { checkLayer, type LayerPosition } from './layer-position.ts';
import { initLowRank, lowRank, type LowRankParams } from './low-rank.ts';
import { complete, headSizes } from './options.ts';
import { alight, rideAlong } from './ride-along.ts';

export interface Rwkv6Config {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 0.5. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Rank of each of the five mixes. Default 32. */
  readonly mixRank?: number;
  /** Rank of the decay's projection. Default 64. */
  readonly decayRank?: number;
  /**
   * Taps of short convolutions with silu over r, k and v. Default 0: none, as in fla; the token shift looks
   * back already.
   */
  readonly convolution?: number;
  readonly normEps?: number;
  /** Layer that the cell is for, counted from 0: its start depends on it. Default 0. */
  readonly layer?: number;
  /** Layers of the model. Default 1. */
  readonly layers?: number;
}

/** A linear map of mixed tokens. */
type MixedLinear<Layer> = { readonly linear: Layer };

export interface Rwkv6Params extends CellParams {
  /** W [5·rank, d] with μ [d]; all W_n [d, 5·rank]. */
  readonly x_proj: { readonly 0: ShiftedLinearParams; readonly 2: LinearParams };
  /** b_n of r, w, k, v, g, [5, d] */
  readonly x_bias: Tensor2D;
  readonly r_proj: MixedLinear<LinearParams>;
  readonly k_proj: MixedLinear<LinearParams>;
  readonly v_proj: MixedLinear<LinearParams>;
  readonly w_proj: MixedLinear<LowRankParams>;
  readonly g_proj: MixedLinear<LinearParams>;
  /** u, [H, dk] */
  readonly bonus: Tensor2D;
  readonly g_norm: GroupNormParams;
  readonly o_proj: LinearParams;
}

export interface Rwkv6State extends WindowState<'r' | 'k' | 'v'> {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  /** The last inputs, [sequences, d, 2] */
  readonly shift: Tensor3D;
  readonly [name: string]: TensorTree;
}

interface Rwkv6Inputs extends WindowState<'r' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor3D;
  readonly bonus: Tensor2D;
  readonly gate: Tensor3D;
  readonly shift: Tensor3D;
}

/** In the order of fla's parameters. */
const STREAMS = ['r', 'w', 'k', 'v', 'g'] as const;

/** A log-decay of −1e4 is a closed gate; its exponential overflows further on. */
const LARGEST_EXPONENT = Math.log(1e4);

export function rwkv6(options: Rwkv6Config): MemoryCell<Rwkv6Params, Rwkv6State, Rwkv6Inputs> {
  const config = complete('rwkv6', options, ['width', 'heads'], {
    expandK: 0.5,
    expandV: 1,
    mixRank: 32,
    decayRank: 64,
    convolution: 0,
    normEps: 1e-5,
    layer: 0,
    layers: 1,
  });
  const { width, heads, mixRank, decayRank, normEps } = config;
  checkCount('rwkv6(mixRank)', mixRank);
  checkCount('rwkv6(decayRank)', decayRank);
  checkLayer('rwkv6', config);
  const { keySize, valueSize } = headSizes('rwkv6', config);
  const [keyWidth, valueWidth] = [keySize / heads, valueSize / heads];
  const short = convolutions('rwkv6', config.convolution, { r: keySize, k: keySize, v: valueSize });

  return {
    name: 'rwkv6',
    rule: 'gated',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'w_proj'],

    init: (rng) => {
      const start = initialValues(config, keySize);
      const plain = (name: string, outWidth: number) => ({
        linear: initLinear(rng.fold(name), width, outWidth),
      });
      return {
        x_proj: {
          0: { mu: tensor1d(start.mix), ...plain('x_proj.0', STREAMS.length * mixRank) },
          2: initLinear(rng.fold('x_proj.2'), STREAMS.length * mixRank, width),
        },
        x_bias: tensor2d(start.mixes.map((mix) => Array.from(mix))),
        r_proj: plain('r_proj', keySize),
        ...short.init(rng),
        g_proj: plain('g_proj', valueSize),
        bonus: tensor2d(start.bonus, [heads, keyWidth]),
        g_norm: initGroupNorm(valueSize, start.norm),
        o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
        k_proj: plain('k_proj', keySize),
        v_proj: plain('v_proj', valueSize),
        w_proj: {
          linear: initLowRank(
            rng.fold('w_proj'),
            { inWidth: width, rank: decayRank, outWidth: keySize },
            start.decay,
          ),
        },
      };
    },

    stateShape: (sequences) => ({
      memory: [sequences, heads, keyWidth, valueWidth],
      shift: [sequences, width, SHIFT_TAPS],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { rows, sequences, state } = context;
      const { delta, window: shift } = tokenShift(rows, sequences, state?.shift);
      const mixed = mixStreams(params, rows, delta);
      const { values, windows } = short.apply(params, context, {
        r: linear(mixed.r, params.r_proj.linear),
        k: context.linear(params.k_proj.linear, mixed.k),
        v: context.linear(params.v_proj.linear, mixed.v),
      });
      const w = lowRank(params.w_proj.linear, mixed.w, tanh, context.linear);
      return {
        q: toHeads(values.r, heads),
        k: toHeads(values.k, heads),
        v: toHeads(values.v, heads),
        logDecay: toHeads(neg(exp(minimum(w, LARGEST_EXPONENT) as Tensor2D)), heads),
        bonus: params.bonus,
        gate: toHeads(linear(mixed.g, params.g_proj.linear), heads),
        shift,
        windows,
      };
    },

    scan: ({ gate, shift, windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences, scale: 1 },
      );
      return {
        o: rideAlong(o as Tensor3D, [gate], sequences),
        state: { memory: memory as Tensor4D, shift, windows },
      };
    },

    readout: ({ g_norm, o_proj }, o) => {
      const [read, gate] = alight(o, 2) as [Tensor3D, Tensor3D];
      return linear(fromHeads(swiGlu(gate, groupNorm(read, g_norm, normEps)) as Tensor3D), o_proj);
    },
  };
}

/** What each stream sees, [N,d]. */
function mixStreams(
  { x_proj, x_bias }: Rwkv6Params,
  rows: Tensor2D,
  delta: Tensor2D,
): { readonly [stream in (typeof STREAMS)[number]]: Tensor2D } {
  const low = tanh(linear(mixShifted(rows, delta, x_proj[0].mu), x_proj[0].linear));
  const lows = split(low, STREAMS.length, 1);
  const weights = split(x_proj[2].weight, STREAMS.length, 1);
  const biases = unstack(x_bias) as Tensor1D[];
  const see = STREAMS.map((name, n) => {
    const layer = { weight: weights[n] as Tensor2D, bias: biases[n] as Tensor1D };
    return [name, mixShifted(rows, delta, linear(lows[n] as Tensor2D, layer))];
  });
  return Object.fromEntries(see);
}

/** Decays, bonuses and mixes that differ by channel, and more so in later layers. */
function initialValues({ width, layer, layers }: LayerPosition & { width: number }, keySize: number) {
  const [progress, remaining] = [layer / Math.max(layers - 1, 1), 1 - layer / layers];
  const channels = (value: (i: number, along: number) => number): Float32Array =>
    Float32Array.from({ length: keySize }, (_, i) => value(i, i / Math.max(keySize - 1, 1)));
  const [mix, early] = [initialMix(width, remaining), initialMix(width, 0.5 * remaining)];
  const mixes = { r: early, w: mix, k: mix, v: mix.map((mu) => mu - 0.3 * progress), g: early };
  return {
    mix,
    mixes: STREAMS.map((name) => mixes[name]),
    decay: channels((_, along) => -6 + 5 * along ** (0.7 + 1.3 * progress)),
    bonus: channels((i, along) => progress * (1 - along) + 0.1 * (((i + 1) % 3) - 1)),
    norm: ((layer + 1) / layers) ** 0.7,
  };
}
