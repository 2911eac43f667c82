// Linear attention (Katharopoulos et al. 2020, "Transformers are RNNs", eq. 18–20):
//   S ← S + φ(k) vᵀ ,  o = Sᵀ φ(q) / √dk ,  optionally divided by φ(q)·Σ φ(k)
import { diagonalDecay, rmsNorm } from '@mnemix/kernels';
import { initLinear, linear, type CellParams, type LinearParams, type MemoryCell } from '@mnemix/layers';
import {
  add,
  concat,
  div,
  ones,
  slice,
  sum,
  type Tensor1D,
  type Tensor3D,
  type Tensor4D,
  type TensorTree,
} from '@mnemix/tensor';
import { convolutions, type WindowState } from './convolutions.ts';
import { featureMaps, type FeatureMap, type FeatureMapName } from './feature-maps.ts';
import { fromHeads, toHeads } from './heads.ts';
import { choose, complete, headSizes } from './options.ts';
import type { NormParams } from './readout.ts';

export interface LinearAttentionConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** All heads' key width over d. Default 1. */
  readonly expandK?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** φ. Default elementwise_product, as in fla. */
  readonly featureMap?: FeatureMapName;
  /** One φ for queries and keys. Default false. */
  readonly tieFeatureMaps?: boolean;
  /** Divide by φ(q)·Σφ(k). Default false. */
  readonly normalise?: boolean;
  /** Scale φ(q) to entries that sum to one. Default false. */
  readonly normaliseQ?: boolean;
  /** Scale φ(k) to entries that sum to one. Default false. */
  readonly normaliseK?: boolean;
  /**
   * Taps of short convolutions with silu over queries, keys and values. Default 0: none, as in fla.
   */
  readonly convolution?: number;
  readonly normEps?: number;
}

export interface LinearAttentionParams extends CellParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly norm: NormParams;
  readonly o_proj: LinearParams;
}

export interface LinearAttentionState extends WindowState<'q' | 'k' | 'v'> {
  /** S, [sequences, heads, dk, dv]; with the normaliser a last value column holds Σφ(k). */
  readonly memory: Tensor4D;
  readonly [name: string]: TensorTree;
}

interface LinearAttentionInputs extends WindowState<'q' | 'k' | 'v'> {
  readonly q: Tensor3D;
  readonly k: Tensor3D;
  readonly v: Tensor3D;
}

export function linearAttention(
  options: LinearAttentionConfig,
): MemoryCell<LinearAttentionParams, LinearAttentionState, LinearAttentionInputs> {
  const config = complete('linearAttention', options, ['width', 'heads'], {
    expandK: 1,
    expandV: 1,
    featureMap: 'elementwise_product',
    tieFeatureMaps: false,
    normalise: false,
    normaliseQ: false,
    normaliseK: false,
    convolution: 0,
    normEps: 1e-5,
  });
  const { width, heads, normalise, normEps } = config;
  const { keySize, valueSize } = headSizes('linearAttention', config);
  const phi: FeatureMap = choose('linearAttention(featureMap)', featureMaps, config.featureMap);
  const valueWidth = valueSize / heads;
  const short = convolutions('linearAttention', config.convolution, { q: keySize, k: keySize, v: valueSize });
  const unitSum = (x: Tensor3D): Tensor3D => div(x, add(sum(x, -1, true), 1e-4));

  return {
    name: 'linear_attention',
    rule: 'linear',
    config,
    width,

    perMemory: ['k_proj', 'v_proj'],
    sharedMemory: 'last',

    init: (rng) => ({
      q_proj: initLinear(rng.fold('q_proj'), width, keySize),
      ...mapParams('feature_map_q', phi.init(rng.fold('feature_map_q'), keySize / heads)),
      ...(config.tieFeatureMaps
        ? {}
        : mapParams('feature_map_k', phi.init(rng.fold('feature_map_k'), keySize / heads))),
      ...short.init(rng),
      norm: { weight: ones([valueWidth]) as Tensor1D },
      o_proj: initLinear(rng.fold('o_proj'), valueSize, width),
      k_proj: initLinear(rng.fold('k_proj'), width, keySize),
      v_proj: initLinear(rng.fold('v_proj'), width, valueSize),
    }),

    stateShape: (sequences) => ({
      memory: [sequences, heads, (keySize / heads) * phi.expansion, valueWidth + (normalise ? 1 : 0)],
      ...short.stateShape(sequences),
    }),

    project: (params, context) => {
      const mapQ = (params.feature_map_q ?? {}) as CellParams;
      const mapK = config.tieFeatureMaps ? mapQ : ((params.feature_map_k ?? {}) as CellParams);
      const { values, windows } = short.apply(params, context, {
        q: context.commonLinear(params.q_proj),
        ...context.linears({ k: params.k_proj, v: params.v_proj }),
      });
      const q = phi.apply(mapQ, toHeads(values.q, heads));
      const k = phi.apply(mapK, toHeads(values.k, heads));
      const v = toHeads(values.v, heads);
      return {
        q: config.normaliseQ ? unitSum(q) : q,
        k: config.normaliseK ? unitSum(k) : k,
        // A value column of ones makes the memory count its keys: the normaliser needs no state of its own.
        v: normalise ? (concat([v, ones([v.shape[0], heads, 1])], 2) as Tensor3D) : v,
        windows,
      };
    },

    scan: ({ windows, ...inputs }, state, sequences, algorithm) => {
      const { o, state: memory } = diagonalDecay(
        { ...inputs, initialState: state?.memory },
        { ...algorithm, sequences },
      );
      const next = { memory: memory as Tensor4D, windows };
      if (!normalise) return { o: o as Tensor3D, state: next };
      const [rows] = o.shape as [number];
      const numerator = slice(o, [0, 0, 0], [rows, heads, valueWidth]);
      const denominator = slice(o, [0, 0, valueWidth], [rows, heads, 1]);
      return { o: div(numerator, add(denominator, 1e-10)) as Tensor3D, state: next };
    },

    // Normalised values carry a further 1, which is not to be recalled.
    selfRecall: ({ k, v }) => ({
      asked: { q: k },
      expected: slice(v, [0, 0, 0], [v.shape[0], heads, valueWidth]) as Tensor3D,
    }),

    readout: ({ norm, o_proj }, o) =>
      linear(fromHeads(rmsNorm({ x: o, weight: norm.weight }, { eps: normEps }) as Tensor3D), o_proj),
  };
}

const mapParams = (name: string, params: CellParams): CellParams =>
  Object.keys(params).length === 0 ? {} : { [name]: params };
