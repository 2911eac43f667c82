// MesaNet (von Oswald et al. 2025, "MesaNet: Sequence modeling by locally optimal test-time training", §2–3):
// a memory that answers each query with the ridge regression of all it was told,
//   H_kk ← e^g H_kk + β k kᵀ ,  H_kv ← e^g H_kv + β k vᵀ ,  o = H_kvᵀ (H_kk + Diag(λ))^{-1} q
// with k, q normalised, g = ln σ(W_a x + b_a), β = σ(W_b x + b_b), and a penalty for each key channel,
// λ = bound + softplus(lambda_params).
import { l2NormPair, mesa } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  add,
  checkConfig,
  checkCount,
  fill,
  logSigmoid,
  ones,
  reshape,
  sigmoid,
  softplus,
  zeros,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { inverseSoftplus } from './initial-decay.ts';
import { complete, ratioSize } from './options.ts';
import { queryAndGate, readout, type NormParams } from './readout.ts';

/** Steps of the solver, as in fla. */
export const MESA_STEPS = 30;

export interface MesaNetConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Key width dk of a head. */
  readonly headWidth: number;
  /** Value width of a head over its key width. Default 1; fla's layer has no other. */
  readonly expandV?: number;
  /** Most steps of the solver, conjugate gradients, which dk steps finish but for rounding. Default 30. */
  readonly steps?: number;
  /**
   * Lower bound of λ, which starts at 1. A small one makes systems that the steps do not solve where keys are
   * much alike. Default 0.25.
   */
  readonly lambdaLowerBound?: number;
  /** Taps of the short convolutions over queries and keys. Default 4. */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default false. */
  readonly gate?: boolean;
  readonly normEps?: number;
}

export interface MesaNetParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** [heads, d] and a bias */
  readonly a_proj: LinearParams;
  /** [heads, d] and a bias */
  readonly b_proj: LinearParams;
  /** [H·dk] */
  readonly lambda_params: Tensor1D;
  /** With the gate, [H·dv, d] */
  readonly g_proj?: LinearParams;
  readonly o_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface MesaNetState extends WindowState<'q' | 'k'> {
  /** H_kv, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  /** H_kk, [sequences, heads, dk, dk] */
  readonly keys: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface MesaNetInputs extends WindowState<'q' | 'k'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly beta: Tensor2D;
  readonly logDecay: Tensor2D;
  /** λ [heads, dk] */
  readonly ridge: Tensor2D;
}

export function mesaNet(options: MesaNetConfig): MemoryCell<MesaNetParams, MesaNetState, MesaNetInputs> {
  const config = complete('mesaNet', options, ['width', 'heads', 'headWidth'], {
    expandV: 1,
    steps: MESA_STEPS,
    lambdaLowerBound: 0.25,
    convolution: 4,
    gate: false,
    normEps: 1e-5,
  });
  const { width, heads, headWidth, steps, lambdaLowerBound, convolution, gate, normEps } = config;
  checkCount('mesaNet(steps)', steps);
  checkCount('mesaNet(convolution)', convolution);
  checkConfig(
    lambdaLowerBound > 0 && lambdaLowerBound < 1,
    'mesaNet(lambdaLowerBound)',
    `λ starts at 1, and cannot be bounded by ${lambdaLowerBound}.`,
    'Use a number between 0 and 1; 0.25 is usual.',
  );
  const valueWidth = ratioSize('mesaNet(expandV)', headWidth, config.expandV);
  const keySize = heads * headWidth;
  const valueSize = heads * valueWidth;
  const short = convolutions('mesaNet', convolution, { q: keySize, k: keySize });

  return {
    name: 'mesa_net',
    rule: 'mesa',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'a_proj', 'b_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      lambda_params: fill([keySize], inverseSoftplus(1 - lambdaLowerBound)),
      ...short.init(rng),
      ...(gate ? { g_proj: initLinear(rng.fold('g_proj'), width, valueSize) } : {}),
      o_norm: { weight: ones([valueWidth]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      a_proj: { ...initLinear(rng.fold('a_proj'), width, heads), bias: zeros([heads]) },
      b_proj: { ...initLinear(rng.fold('b_proj'), width, heads), bias: zeros([heads]) },
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, headWidth, valueWidth],
      keys: [sequences, heads, headWidth, headWidth],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { k, v, a, b } = context.linears({
        k: params.k_proj,
        v: params.v_proj,
        a: params.a_proj,
        b: params.b_proj,
      });
      const q = context.commonLinear(params.q_proj);
      const { values, windows } = short.apply(params, context, { q, k });
      const ridge = add(softplus(params.lambda_params), lambdaLowerBound);
      const [queries, keys] = l2NormPair(toHeads(values.q, heads), toHeads(values.k, heads));
      return {
        q: queries as Tensor3D,
        k: keys as Tensor3D,
        v: toHeads(v, heads),
        beta: sigmoid(b),
        logDecay: logSigmoid(a),
        ridge: reshape(ridge, [heads, headWidth]) as Tensor2D,
        windows,
      };
    },

    scan: ({ windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: next } = mesa(
        { ...inputs, initialState: state && { keys: state.keys, values: state.memory } },
        { ...algorithm, sequences, steps },
      );
      return {
        o: o as Tensor3D,
        state: { memory: next.values as Tensor4D, keys: next.keys as Tensor4D, windows },
      };
    },

    tokenLayers: queryAndGate,

    readout: ({ o_norm, o_proj, g_proj }, o, _x, map) =>
      readout({ norm: o_norm, o_proj, g_proj }, o, map, normEps),
  };
}
