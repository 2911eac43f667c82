// Gated DeltaNet-2 (Hatamizadeh, Choi & Kautz 2026, "Gated DeltaNet-2: Decoupling Erase and Write in Linear
// Attention"): KDA whose β has become two gates, one for each key channel that is erased and one for each value
// channel that is written,
//   S ← (I − k (b ⊙ k)ᵀ) Diag(e^g) S + k (w ⊙ v)ᵀ ,  o = Sᵀ q ,  y = W_o( RMSNorm(o) ⊙ σ(W₄ W₃ x + c) )
// with k, q normalised, b = σ(W_b x), or 2σ for negative eigenvalues, w = σ(W_w x), and KDA's g. With b = w = β
// it is KDA. Parameters and start are those of fla's GatedDeltaNet2, where value heads of a group share g and b
// like q and k.
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

export interface GatedDeltaNet2Config extends ChannelDecayOptions {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Key width dk of a head. */
  readonly headWidth: number;
  /** Value width of a head over its key width. Default 1. */
  readonly expandV?: number;
  /** Value heads: a multiple of `heads`, which share all that concerns keys. Default `heads`. */
  readonly valueHeads?: number;
  /** Taps of the short convolutions with silu; 0 leaves silu alone. Default 4. */
  readonly convolution?: number;
  /** b in (0, 2) instead of (0, 1). Default false. */
  readonly negativeEigenvalues?: boolean;
  readonly normEps?: number;
}

export interface GatedDeltaNet2Params extends CellParams, ChannelDecayParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** [H·dk, d] */
  readonly b_proj: LinearParams;
  /** [Hv·dv, d] */
  readonly w_proj: LinearParams;
  /** Rank dv: [dv, d], then [Hv·dv, dv] with a bias */
  readonly g_proj: readonly [LinearParams, LinearParams];
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface GatedDeltaNet2State extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, value heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface GatedDeltaNet2Inputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  /** b ⊙ k */
  readonly erase: Tensor3D;
  /** w ⊙ v */
  readonly v: Tensor3D;
  readonly logDecay: Tensor3D;
}

export function gatedDeltaNet2(
  options: GatedDeltaNet2Config,
): MemoryCell<GatedDeltaNet2Params, GatedDeltaNet2State, GatedDeltaNet2Inputs> {
  const config = complete('gatedDeltaNet2', options, ['width', 'heads', 'headWidth'], {
    expandV: 1,
    valueHeads: options.heads,
    convolution: 4,
    negativeEigenvalues: false,
    safeGate: false,
    lowerBound: undefined,
    initialDecay: undefined,
    normEps: 1e-5,
  });
  const { width, heads, headWidth, valueHeads, convolution, negativeEigenvalues, normEps } = config;
  const { valueWidth, keySize, valueSize, group } = groupedSizes('gatedDeltaNet2', config);
  const short = siluConvolutions('gatedDeltaNet2', convolution, { q: keySize, k: keySize, v: valueSize });
  const decay = channelDecay('gatedDeltaNet2', config, { width, rank: valueWidth, heads, headWidth });

  return {
    name: 'gdn2',
    rule: 'gated_delta',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'f_proj', 'b_proj', 'w_proj'],

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
      b_proj: initLinear(rng.fold('b_proj'), width, keySize),
      w_proj: initLinear(rng.fold('w_proj'), width, valueSize),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, valueHeads, headWidth, valueWidth],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const own = context.linears({
        k: params.k_proj,
        v: params.v_proj,
        b: params.b_proj,
        w: params.w_proj,
      });
      const { values, windows } = short.apply(params, context, {
        q: context.commonLinear(params.q_proj),
        k: own.k,
        v: own.v,
      });
      const k = l2Norm(toHeads(values.k, heads)) as Tensor3D;
      const b = mul(sigmoid(own.b), negativeEigenvalues ? 2 : 1) as Tensor2D;
      const w = sigmoid(own.w);
      return {
        q: repeatHeads(l2Norm(toHeads(values.q, heads)) as Tensor3D, group),
        k: repeatHeads(k, group),
        erase: repeatHeads(mul(toHeads(b, heads), k) as Tensor3D, group),
        v: toHeads(mul(w, values.v) as Tensor2D, valueHeads),
        logDecay: repeatHeads(decay.apply(params, context), group),
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
