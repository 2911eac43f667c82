// Gated linear attention (Yang et al. 2023, "Gated linear attention transformers", eq. 3–4):
//   S ← Diag(e^g) S + k vᵀ ,  o = Sᵀ q ,  g = ln σ(W₂ W₁ x + b) / τ  for each key channel
import { diagonalDecay } from '@mnemix/kernels';
import { initLinear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  checkCount,
  div,
  logSigmoid,
  maximum,
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

export interface GlaConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 0.5. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Temperature τ of the decay: larger keeps longer. Default 16. */
  readonly gateNormalizer?: number;
  /** Rank of the decay's projection. Default 16. */
  readonly gateRank?: number;
  /** Lower bound of g. Default none. */
  readonly clampMin?: number;
  /** Activation of queries and keys. Default identity. */
  readonly activation?: Activation;
  /**
   * Taps of short convolutions with silu over queries, keys and values. Default 0: none, as in fla.
   */
  readonly convolution?: number;
  /** Gate the output with silu(W_g x). Default true. */
  readonly gate?: boolean;
  readonly normEps?: number;
}

export interface GlaParams extends CellParams, SwishReadoutParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly gk_proj: readonly [LinearParams, LinearParams];
}

export interface GlaState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface GlaInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor3D;
}

export function gla(options: GlaConfig): MemoryCell<GlaParams, GlaState, GlaInputs> {
  const config = complete('gla', options, ['width', 'heads'], {
    expandK: 0.5,
    expandV: 1,
    gateNormalizer: 16,
    gateRank: 16,
    clampMin: undefined,
    activation: 'identity',
    convolution: 0,
    gate: true,
    normEps: 1e-5,
  });
  const { width, heads, gateRank, gateNormalizer, clampMin } = config;
  checkCount('gla(gateRank)', gateRank);
  const { keySize, valueSize } = headSizes('gla', config);
  const activate = choose('gla(activation)', activations, config.activation);
  const output = swishReadout(config, valueSize);
  const short = convolutions('gla', config.convolution, { q: keySize, k: keySize, v: valueSize });

  return {
    name: 'gla',
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
      gk_proj: [
        initLinear(rng.fold('gk_proj.0'), width, gateRank),
        { ...initLinear(rng.fold('gk_proj.1'), gateRank, keySize), bias: zeros([keySize]) },
      ],
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, keySize / heads, valueSize / heads],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const [down, up] = params.gk_proj;
      const g = div(logSigmoid(context.linear(up, context.linear(down))), gateNormalizer) as Tensor2D;
      const { values, windows } = short.apply(params, context, {
        q: context.commonLinear(params.q_proj),
        ...context.linears({ k: params.k_proj, v: params.v_proj }),
      });
      return {
        q: toHeads(activate(values.q), heads),
        k: toHeads(activate(values.k), heads),
        v: toHeads(values.v, heads),
        windows,
        logDecay: toHeads(clampMin === undefined ? g : (maximum(g, clampMin) as Tensor2D), heads),
      };
    },

    scan: memoryScan(diagonalDecay),

    selfRecall: askOwnKey,

    tokenLayers: queryAndGate,

    readout: output.apply,
  };
}
