// ReBased (Aksenov et al. 2024, "Linear Transformers with Learnable Kernel Functions are Better In-Context
// Models", §4): linear attention with a square for its kernel, of queries and keys whose affine normalisation
// can place the square's minimum,
//   φ(q)·φ(k) = (q̂·k̂)²/D ,  x̂ = γ ⊙ LayerNorm(x) + β
import { layerNorm } from '@mnemix/kernels';
import type { CellParams } from '@mnemix/layers';
import { add, checkConfig, mul, ones, square, zeros, type Tensor1D, type Tensor3D } from '@mnemix/tensor';
import { complete } from './options.ts';
import {
  productCount,
  products,
  quadraticAttention,
  type QuadraticAttentionCell,
} from './quadratic-attention.ts';

export interface RebasedConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Width D of a head's queries and keys; the memory has D(D+1)/2 rows. Default 16. */
  readonly featureWidth?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Normalise queries and keys to mean 0 and variance 1. Default true. */
  readonly normalise?: boolean;
  /** Learned factor γ. Default true. */
  readonly gamma?: boolean;
  /** Learned shift β. Default true. */
  readonly beta?: boolean;
  /** Taps of short convolutions with silu over queries, keys and values. Default 0: none, as in fla. */
  readonly convolution?: number;
  /** Added to the normaliser. Default 1e-5. */
  readonly eps?: number;
  /** Added to the variance of queries and keys. Default 1e-5. */
  readonly normEps?: number;
}

/** γ and β [D], for queries and keys of all heads. */
interface AffineParams extends CellParams {
  readonly gamma?: Tensor1D;
  readonly beta?: Tensor1D;
}

/** The ReBased memory. As in fla, its output projection follows what is read without a norm. */
export function rebased(options: RebasedConfig): QuadraticAttentionCell {
  const config = complete('rebased', options, ['width', 'heads'], {
    featureWidth: 16,
    expandV: 1,
    normalise: true,
    gamma: true,
    beta: true,
    convolution: 0,
    eps: 1e-5,
    normEps: 1e-5,
  });
  const { featureWidth, normalise, normEps } = config;
  checkConfig(
    normalise || config.gamma,
    'rebased(gamma)',
    'without normalise there has to be a factor, as in fla.',
    'Leave gamma on, or normalise.',
  );
  const affine = (x: Tensor3D, { gamma, beta }: AffineParams): Tensor3D => {
    if (normalise) return layerNorm({ x, weight: gamma, bias: beta }, { eps: normEps }) as Tensor3D;
    const scaled = gamma ? mul(x, gamma) : x;
    return (beta ? add(scaled, beta) : scaled) as Tensor3D;
  };
  return quadraticAttention('rebased', 'rebased', config, {
    features: productCount(featureWidth),
    init: () =>
      config.gamma || config.beta
        ? {
            feature_map: {
              ...(config.gamma ? { gamma: ones([featureWidth]) } : {}),
              ...(config.beta ? { beta: zeros([featureWidth]) } : {}),
            },
          }
        : {},
    prepare: ({ feature_map = {} }, x) => affine(x, feature_map as AffineParams),
    apply: (x) => products(x, 1 / featureWidth),
    kernel: (dot) => mul(square(dot), 1 / featureWidth),
  });
}
