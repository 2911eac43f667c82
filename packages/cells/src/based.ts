// Based (Arora et al. 2024, "Simple linear attention language models balance the recall-throughput tradeoff",
// §4.1): linear attention whose feature map is the exponential's Taylor series of second order,
//   φ(q)·φ(k) = 1 + s + s²/2 ,  s = q·k/√D ,  which is positive: the normaliser cannot vanish.
import { add, concat, mul, ones, square, type Tensor3D } from '@mnemix/tensor';
import { complete } from './options.ts';
import {
  productCount,
  products,
  quadraticAttention,
  type QuadraticAttentionCell,
} from './quadratic-attention.ts';

export interface BasedConfig {
  /** Model width d. */
  readonly width: number;
  readonly heads: number;
  /** Width D of a head's queries and keys; the memory has 1 + D + D(D+1)/2 rows. Default 16. */
  readonly featureWidth?: number;
  /** All heads' value width over d. Default 1. */
  readonly expandV?: number;
  /** Taps of short convolutions with silu over queries, keys and values. Default 0: none, as in fla. */
  readonly convolution?: number;
  /** Added to the normaliser. Default 1e-12. */
  readonly eps?: number;
}

/** The Based memory. As in fla, its output projection follows what is read without a norm. */
export function based(options: BasedConfig): QuadraticAttentionCell {
  const config = complete('based', options, ['width', 'heads'], {
    featureWidth: 16,
    expandV: 1,
    convolution: 0,
    eps: 1e-12,
  });
  const { featureWidth } = config;
  return quadraticAttention('based', 'based', config, {
    features: 1 + featureWidth + productCount(featureWidth),
    init: () => ({}),
    prepare: (_, x) => x,
    apply: (x) => {
      const [rows, heads] = x.shape;
      return concat(
        [ones([rows, heads, 1]), mul(x, featureWidth ** -0.25), products(x, 1 / (2 * featureWidth))],
        2,
      ) as Tensor3D;
    },
    kernel: (dot) => {
      const s = mul(dot, featureWidth ** -0.5);
      return add(add(s, 1), mul(square(s), 0.5)) as Tensor3D;
    },
  });
}
