// HGRN2 (Qin et al. 2024, "HGRN2: Gated Linear RNNs with State Expansion", §3.2): what a gate lets go, the
// key writes,
//   S ← Diag(e^g) S + (1 − e^g) vᵀ ,  o = Sᵀ q ,  g = ln(ℓ + (1−ℓ)σ(W_f x)) for each key channel
// with a lower bound ℓ that grows from layer to layer; the first has none.
import { diagonalDecay, rmsNorm } from '@mnemix/kernels';
import {
  initLinear,
  linear,
  type CellParams,
  type CrossLayer,
  type LinearParams,
  type MemoryCell,
} from '@mnemix/layers';
import {
  checkConfig,
  checkShapes,
  ones,
  silu,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { fromHeads, toHeads } from './heads.ts';
import { checkLayer } from './layer-position.ts';
import { boundedGate, lowerBounds } from './lower-bound.ts';
import { complete, headSizes } from './options.ts';
import { askOwnKey } from './own-key.ts';
import type { NormParams } from './readout.ts';

export interface Hgrn2Config {
  /** Model width d. */
  readonly width: number;
  /** fla takes d over its `expand_ratio` of 128. */
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /**
   * Taps of short convolutions, without activation, over queries, gates and values. Default 0: none, as in
   * fla.
   */
  readonly convolution?: number;
  /** Layers above the first keep their gates above a bound, which all layers learn together. Default true. */
  readonly useLowerBound?: boolean;
  /**
   * Default 1e-5. fla's layer always takes that: its models' `norm_eps` does not reach the norm of what is
   * read.
   */
  readonly normEps?: number;
  /** Layer that the cell is for, counted from 0. Default 0. */
  readonly layer?: number;
  /** Layers of the model. Default 1. */
  readonly layers?: number;
}

export interface Hgrn2Params extends CellParams {
  readonly q_proj: LinearParams;
  readonly f_proj: LinearParams;
  readonly i_proj: LinearParams;
  /** Over all heads' values together. */
  readonly g_norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface Hgrn2State extends WindowState<'q' | 'f' | 'i'> {
  /** S, [sequences, heads, dk, dv] */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface Hgrn2Inputs extends WindowState<'q' | 'f' | 'i'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
  readonly logDecay: Tensor3D;
}

/**
 * The HGRN2 memory. With `useLowerBound` its layers of a model share the parameter `lower_bounds` [layers,
 * H·dk], of which each above the first must receive its part [H·dk] as `crossLayer.parameters.lower_bounds`.
 *
 * @throws MnemixError `config`
 */
export function hgrn2(options: Hgrn2Config): MemoryCell<Hgrn2Params, Hgrn2State, Hgrn2Inputs> {
  const config = complete('hgrn2', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    convolution: 0,
    useLowerBound: true,
    normEps: 1e-5,
    layer: 0,
    layers: 1,
  });
  const { width, heads, useLowerBound, normEps, layer } = config;
  checkLayer('hgrn2', config);
  const { keySize, valueSize } = headSizes('hgrn2', config);
  const short = convolutions('hgrn2', config.convolution, { q: keySize, f: keySize, i: valueSize });

  const boundOf = ({ parameters }: CrossLayer): Tensor1D | undefined => {
    if (!useLowerBound || layer === 0) return undefined;
    const where = 'hgrn2(crossLayer.parameters)';
    const bound = parameters?.lower_bounds;
    checkConfig(
      bound !== undefined,
      where,
      `layer ${layer} has a lower bound, but lower_bounds was not given.`,
      "Pass this layer's part of the sharedParameters, or set useLowerBound: false.",
    );
    checkShapes(where, { lower_bounds: [bound, [keySize]] });
    return bound as Tensor1D;
  };

  return {
    name: 'hgrn2',
    rule: 'gated',
    config,
    width,

    perMemory: ['f_proj', 'i_proj'],
    sharedParameters: useLowerBound ? { lower_bounds: lowerBounds(keySize) } : undefined,

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...short.init(rng),
      g_norm: { weight: ones([valueSize]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      f_proj: initLinear(rng.fold('f_proj'), width, keySize),
      i_proj: initLinear(rng.fold('i_proj'), width, valueSize),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, keySize / heads, valueSize / heads],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const bound = boundOf(context.crossLayer);
      const { values, windows } = short.apply(
        params,
        context,
        {
          q: context.commonLinear(params.q_proj),
          ...context.linears({ f: params.f_proj, i: params.i_proj }),
        },
        { q: 'none', f: 'none', i: 'none' },
      );
      const { logDecay, opposite } = boundedGate(values.f, bound);
      return {
        q: toHeads(silu(values.q), heads),
        k: toHeads(opposite, heads),
        v: toHeads(values.i, heads),
        windows,
        logDecay: toHeads(logDecay, heads),
      };
    },

    scan: ({ windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences },
      );
      return { o: o as Tensor3D, state: { memory: memory as Tensor4D, windows } };
    },

    selfRecall: askOwnKey,

    readout: ({ g_norm, o_proj }, o) =>
      linear(rmsNorm({ x: fromHeads(o), weight: g_norm.weight }, { eps: normEps }) as Tensor2D, o_proj),
  };
}
