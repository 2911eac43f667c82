// Kimi delta attention (Kimi Team 2025, "Kimi Linear: An Expressive, Efficient Attention Architecture", §3):
// Gated DeltaNet with a decay for each key channel,
//   S ← (I − β k kᵀ) Diag(e^g) S + β k vᵀ ,  o = Sᵀ q ,  y = W_o( RMSNorm(o) ⊙ σ(W₄ W₃ x + b) )
// with k, q normalised, g = −e^{A_log}·softplus(W₂ W₁ x + dt_bias), β = σ(W_b x), or 2σ for eigenvalues in
// (−1, 1). Parameters and start are those of fla's KimiDeltaAttention.
import { deltaRule, l2Norm } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  mul,
  ones,
  sigmoid,
  zeros,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { channelDecay, type ChannelDecayOptions, type ChannelDecayParams } from './channel-decay.ts';
import type { WindowState } from './convolutions.ts';
import { groupedSizes, siluConvolutions } from './delta-family.ts';
import { repeatHeads, toHeads } from './heads.ts';
import { memoryScan } from './memory-scan.ts';
import { complete } from './options.ts';
import { askOwnKey } from './own-key.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

export interface KdaConfig extends ChannelDecayOptions {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Key width dk of a head. */
  readonly headWidth: number;
  /** Value width of a head over its key width. Default 1. */
  readonly expandV?: number;
  /** Value heads: a multiple of `heads`, which share queries and keys. Default `heads`. */
  readonly valueHeads?: number;
  /** Taps of the short convolutions with silu; 0 leaves silu alone. Default 4. */
  readonly convolution?: number;
  /** β in (0, 2) instead of (0, 1), so that a memory can flip what it holds. Default false. */
  readonly negativeEigenvalues?: boolean;
  readonly normEps?: number;
}

export interface KdaParams extends CellParams, ChannelDecayParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** [Hv, d] */
  readonly b_proj: LinearParams;
  /** Rank dv: [dv, d], then [Hv·dv, dv] with a bias */
  readonly g_proj: readonly [LinearParams, LinearParams];
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface KdaState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, value heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface KdaInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly beta: Tensor2D;
  readonly logDecay: Tensor3D;
}

export function kda(options: KdaConfig): MemoryCell<KdaParams, KdaState, KdaInputs> {
  const config = complete('kda', options, ['width', 'heads', 'headWidth'], {
    expandV: 1,
    valueHeads: options.heads,
    convolution: 4,
    negativeEigenvalues: false,
    safeGate: false,
    lowerBound: undefined,
    initialDecay: undefined,
    normEps: 1e-5,
  });
  const { width, heads, headWidth, valueHeads, negativeEigenvalues, normEps } = config;
  const { valueWidth, keySize, valueSize, group } = groupedSizes('kda', config);
  const short = siluConvolutions('kda', config.convolution, { q: keySize, k: keySize, v: valueSize });
  const decay = channelDecay('kda', config, { width, rank: valueWidth, heads: valueHeads, headWidth });
  const keys = (x: Tensor2D): Tensor3D => repeatHeads(l2Norm(toHeads(x, heads)) as Tensor3D, group);

  return {
    name: 'kda',
    rule: 'gated_delta',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'f_proj', 'b_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...short.init(rng),
      ...decay.init(rng),
      g_proj: [
        initLinear(rng.fold('g_proj.0'), width, valueWidth),
        { ...initLinear(rng.fold('g_proj.1'), valueWidth, valueSize), bias: zeros([valueSize]) },
      ],
      o_norm: { weight: ones([valueWidth]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      b_proj: initLinear(rng.fold('b_proj'), width, valueHeads),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, valueHeads, headWidth, valueWidth],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { k, v, b } = context.linears({ k: params.k_proj, v: params.v_proj, b: params.b_proj });
      const q = context.commonLinear(params.q_proj);
      const { values, windows } = short.apply(params, context, { q, k, v });
      const beta = sigmoid(b);
      return {
        q: keys(values.q),
        k: keys(values.k),
        v: toHeads(values.v, valueHeads),
        beta: negativeEigenvalues ? mul(beta, 2) : beta,
        logDecay: decay.apply(params, context),
        windows,
      };
    },

    scan: memoryScan(deltaRule),

    selfRecall: askOwnKey,

    tokenLayers: queryAndGate,

    readout: ({ o_norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: o_norm, o_proj, g_proj }, o, map, normEps, 'sigmoid'),
  };
}
