// Simple GLA (Yang et al. 2023, "Gated linear attention transformers", with one gate a head; fla's
// SimpleGatedLinearAttention):
//   S ← e^g S + k vᵀ ,  o = Sᵀ q ,  g = ln σ(W_g x + b) / τ  for each head
import { diagonalDecay } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  checkConfig,
  div,
  logSigmoid,
  ones,
  zeros,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { activations, type Activation } from './activations.ts';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { choose, complete, headSizes } from './options.ts';
import { normName, readout, type NormParams } from './readout.ts';

export interface SimpleGlaConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Temperature τ of the decay: larger keeps longer. Default 16. */
  readonly gateNormalizer?: number;
  /** Activation of queries and keys, behind their convolutions. Default identity. */
  readonly activation?: Activation;
  /** Taps of the short convolutions with silu over queries, keys and values; 0 leaves them out. Default 4. */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default true. */
  readonly gate?: boolean;
  readonly normEps?: number;
}

export interface SimpleGlaParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** [heads, d] and a bias */
  readonly gk_proj: LinearParams;
  /** With the gate. */
  readonly g_norm_swish_gate?: NormParams;
  /** Without. */
  readonly g_norm?: NormParams;
  readonly o_proj: LinearParams;
}

export interface SimpleGlaState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface SimpleGlaInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor2D;
}

export function simpleGla(
  options: SimpleGlaConfig,
): MemoryCell<SimpleGlaParams, SimpleGlaState, SimpleGlaInputs> {
  const config = complete('simpleGla', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    gateNormalizer: 16,
    activation: 'identity',
    convolution: 4,
    gate: true,
    normEps: 1e-5,
  });
  const { width, heads, gate, gateNormalizer, normEps } = config;
  checkConfig(
    gateNormalizer > 0,
    'simpleGla(gateNormalizer)',
    `a temperature of ${gateNormalizer} is none.`,
    'Use a number above 0; 16 is usual.',
  );
  const { keySize, valueSize } = headSizes('simpleGla', config);
  const activate = choose('simpleGla(activation)', activations, config.activation);
  const norm = normName(gate);
  const short = convolutions('simpleGla', config.convolution, { q: keySize, k: keySize, v: valueSize });

  return {
    name: 'simple_gla',
    rule: 'gated',
    config,
    width,

    perMemory: ['k_proj', 'v_proj', 'gk_proj'],

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...short.init(rng),
      ...(gate ? { g_proj: initLinear(rng.fold('g_proj'), width, valueSize) } : {}),
      [norm]: { weight: ones([valueSize / heads]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      gk_proj: { ...initLinear(rng.fold('gk_proj'), width, heads), bias: zeros([heads]) },
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, keySize / heads, valueSize / heads],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { values, windows } = short.apply(params, context, {
        q: context.commonLinear(params.q_proj),
        k: context.linear(params.k_proj),
        v: context.linear(params.v_proj),
      });
      return {
        q: toHeads(activate(values.q), heads),
        k: toHeads(activate(values.k), heads),
        v: toHeads(values.v, heads),
        windows,
        logDecay: div(logSigmoid(context.linear(params.gk_proj)), gateNormalizer) as Tensor2D,
      };
    },

    scan: ({ windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences },
      );
      return { o: o as Tensor3D, state: { memory: memory as Tensor4D, windows } };
    },

    readout: (params, o, x) =>
      readout(
        {
          norm: params[norm] as NormParams,
          o_proj: params.o_proj,
          g_proj: params.g_proj as LinearParams | undefined,
        },
        o,
        x,
        normEps,
      ),
  };
}
