// Simple GLA (Yang et al. 2023, "Gated linear attention transformers", with one gate a head; fla's
// SimpleGatedLinearAttention):
//   S ← e^g S + k vᵀ ,  o = Sᵀ q ,  g = ln σ(W_g x + b) / τ  for each head
import { diagonalDecay } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  checkConfig,
  div,
  logSigmoid,
  zeros,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { activations, type Activation } from './activations.ts';
import { convolutions, type WindowState } from './convolutions.ts';
import { toHeads } from './heads.ts';
import { memoryScan } from './memory-scan.ts';
import { choose, complete, headSizes } from './options.ts';
import { askOwnKey } from './own-key.ts';
import { queryAndGate, swishReadout, type SwishReadoutParams } from './readout.ts';

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

export interface SimpleGlaParams extends CellParams, SwishReadoutParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  /** [heads, d] and a bias */
  readonly gk_proj: LinearParams;
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
  const { width, heads, gateNormalizer } = config;
  checkConfig(
    gateNormalizer > 0,
    'simpleGla(gateNormalizer)',
    `a temperature of ${gateNormalizer} is none.`,
    'Use a number above 0; 16 is usual.',
  );
  const { keySize, valueSize } = headSizes('simpleGla', config);
  const activate = choose('simpleGla(activation)', activations, config.activation);
  const output = swishReadout(config, valueSize);
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
      ...output.init(rng),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
      gk_proj: { ...initLinear(rng.fold('gk_proj'), width, heads), bias: zeros([heads]) },
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, keySize / heads, valueSize / heads],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const { k, v, gk } = context.linears({ k: params.k_proj, v: params.v_proj, gk: params.gk_proj });
      const q = context.commonLinear(params.q_proj);
      const { values, windows } = short.apply(params, context, { q, k, v });
      return {
        q: toHeads(activate(values.q), heads),
        k: toHeads(activate(values.k), heads),
        v: toHeads(values.v, heads),
        windows,
        logDecay: div(logSigmoid(gk), gateNormalizer) as Tensor2D,
      };
    },

    scan: memoryScan(diagonalDecay),

    selfRecall: askOwnKey,

    tokenLayers: queryAndGate,

    readout: output.apply,
  };
}
