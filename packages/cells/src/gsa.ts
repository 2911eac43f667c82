// Gated slot attention (Zhang et al. 2024, "Gated Slot Attention for Efficient Linear-Time Sequence
// Modeling", §3.2): a memory of m slots, each with a key and a value that forget at the slot's own rate; what
// a gate lets go of a slot, the token writes to it,
//   K̃ ← K̃ Diag(e^f) + k sᵀ ,  Ṽ ← Diag(e^f) Ṽ + s vᵀ ,  o = Ṽᵀ softmax(K̃ᵀ q)
//   f = ln σ(W_f x) / τ ,  s = 1 − e^f  for each slot
//   y = W_o RMSNorm(silu(o))
// Defaults and names are fla's.
import { diagonalDecay, rmsNorm, valueDecay } from '@mnemix/kernels';
import { initLinear, linear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  checkConfig,
  checkCount,
  div,
  logSigmoid,
  maximum,
  ones,
  silu,
  softmax,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { activations, type Activation } from './activations.ts';
import { convolutions, type WindowState } from './convolutions.ts';
import { fromHeads, toHeads } from './heads.ts';
import { oneMinusExp } from './one-minus-exp.ts';
import { choose, complete, headSizes } from './options.ts';
import type { NormParams } from './readout.ts';

export interface GsaConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Slots m of a head. Default 64. */
  readonly slots?: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Temperature τ of the decay: larger keeps longer, and writes less. Default 8. */
  readonly gateNormalizer?: number;
  /** Lower bound of f. Default none. */
  readonly clampMin?: number;
  /** Activation of queries and keys. Default silu. Values always have silu. */
  readonly activation?: Activation;
  /**
   * Taps of short convolutions over queries, keys and values, with a silu of their own in front of the
   * activation. Default 0: none, as in fla.
   */
  readonly convolution?: number;
  readonly normEps?: number;
}

export interface GsaParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** [H·m, d] */
  readonly f_proj: LinearParams;
  /** Over all heads' values together. */
  readonly g_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface GsaState extends WindowState<'q' | 'k' | 'v'> {
  /** The slots' keys K̃, [sequences, heads, dk, m] */
  readonly memory: Tensor4D;
  /** The slots' values Ṽ, [sequences, heads, m, dv] */
  readonly values: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface GsaInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  /** f, [N, H, m] */
  readonly logDecay: Tensor3D;
}

export function gsa(options: GsaConfig): MemoryCell<GsaParams, GsaState, GsaInputs> {
  const config = complete('gsa', options, ['width', 'heads'], {
    slots: 64,
    expandK: 1,
    expandV: 1,
    gateNormalizer: 8,
    clampMin: undefined,
    activation: 'silu',
    convolution: 0,
    normEps: 1e-5,
  });
  const { width, heads, slots, gateNormalizer, clampMin, normEps } = config;
  checkCount('gsa(slots)', slots);
  checkConfig(
    gateNormalizer > 0,
    'gsa(gateNormalizer)',
    `a temperature of ${gateNormalizer} is none.`,
    'Use a number above 0; 8 is usual.',
  );
  checkConfig(
    clampMin === undefined || clampMin < 0,
    'gsa(clampMin)',
    `a gate that is ${clampMin} or more never lets go, and a slot then takes nothing up.`,
    'Use a number below 0, or leave it out.',
  );
  const { keySize, valueSize } = headSizes('gsa', config);
  const activate = choose('gsa(activation)', activations, config.activation);
  const short = convolutions('gsa', config.convolution, { q: keySize, k: keySize, v: valueSize });

  return {
    name: 'gsa',
    rule: 'gated',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'f_proj'],
    sharedMemory: 'last',

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...short.init(rng),
      g_norm: { weight: ones([valueSize]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      f_proj: initLinear(rng.fold('f_proj'), width, heads * slots),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, keySize / heads, slots],
      values: [sequences, heads, slots, valueSize / heads],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { k, v, f: gate } = context.linears({ k: params.k_proj, v: params.v_proj, f: params.f_proj });
      const q = context.commonLinear(params.q_proj);
      const { values, windows } = short.apply(params, context, { q, k, v });
      const f = div(logSigmoid(gate), gateNormalizer) as Tensor2D;
      return {
        q: toHeads(activate(values.q), heads),
        k: toHeads(activate(values.k), heads),
        v: toHeads(silu(values.v), heads),
        windows,
        logDecay: toHeads(clampMin === undefined ? f : (maximum(f, clampMin) as Tensor2D), heads),
      };
    },

    scan: ({ windows, q, k, v, logDecay }, state, sequences, algorithm) => {
      const settings = { ...algorithm, sequences, scale: 1 };
      const share = oneMinusExp(logDecay);
      const fits = valueDecay({ q, k, v: share, logDecay, initialState: state?.memory }, settings);
      const { o, state: values } = diagonalDecay(
        { q: softmax(fits.o), k: share, v, logDecay, initialState: state?.values },
        settings,
      );
      return {
        o: o as Tensor3D,
        state: { memory: fits.state as Tensor4D, values: values as Tensor4D, windows },
      };
    },

    readout: ({ g_norm, o_proj }, o) =>
      linear(rmsNorm({ x: silu(fromHeads(o)), weight: g_norm.weight }, { eps: normEps }) as Tensor2D, o_proj),
  };
}
