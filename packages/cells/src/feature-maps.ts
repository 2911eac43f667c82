// Feature maps φ of linear attention, applied to each head of queries or keys: [N,H,D] → [N,H,D'].
import type { CellParams, LinearParams } from '@mnemix/layers';
import { linear } from '@mnemix/layers';
import {
  concat,
  mul,
  neg,
  relu,
  reshape,
  slice,
  softmax,
  tensor2d,
  zeros,
  type Rng,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { eluPlusOne } from './activations.ts';

export interface FeatureMap {
  /** D' over D. */
  readonly expansion: number;
  /** Parameters under fla's names; none for most maps. */
  init(rng: Rng, headWidth: number): CellParams;
  apply(params: CellParams, x: Tensor3D): Tensor3D;
}

/** Kernel width of DPFP. */
const DPFP_ROLLS = 4;

const withoutParameters = (expansion: number, apply: (x: Tensor3D) => Tensor): FeatureMap => ({
  expansion,
  init: () => ({}),
  apply: (_, x) => apply(x) as Tensor3D,
});

/** A linear layer on the last axis, one for all heads. */
function perHead(x: Tensor3D, layer: LinearParams): Tensor3D {
  const [rows, heads, width] = x.shape;
  const y = linear(reshape(x, [rows * heads, width]) as Tensor2D, layer);
  return reshape(y, [rows, heads, y.shape[1]]) as Tensor3D;
}

const square = (rng: Rng, width: number): LinearParams => {
  const bound = 1 / Math.sqrt(width); // PyTorch's default for nn.Linear
  return {
    weight: rng.fold('weight').uniform([width, width], -bound, bound) as Tensor2D,
    bias: rng.fold('bias').uniform([width], -bound, bound) as LinearParams['bias'],
  } as LinearParams;
};

const identityMatrix = (width: number): Tensor2D =>
  tensor2d(
    Array.from({ length: width }, (_, i) => Array.from({ length: width }, (__, j) => (i === j ? 1 : 0))),
  );

/** x rolled by `shift` places along the last axis. */
function roll(x: Tensor3D, shift: number): Tensor {
  const [rows, heads, width] = x.shape;
  return concat(
    [
      slice(x, [0, 0, width - shift], [rows, heads, shift]),
      slice(x, [0, 0, 0], [rows, heads, width - shift]),
    ],
    2,
  );
}

export const featureMaps = {
  identity: withoutParameters(1, (x) => x),
  relu: withoutParameters(1, relu),
  /** elu(x) + 1 (Katharopoulos et al. 2020). */
  elu: withoutParameters(1, eluPlusOne),
  /** Products of [relu(x), −relu(x)] with its rolls (Schlag et al. 2021, as fla computes it). */
  dpfp: withoutParameters(2 * DPFP_ROLLS, (x) => {
    const both = concat([relu(x), neg(relu(x))], 2) as Tensor3D;
    return concat(
      Array.from({ length: DPFP_ROLLS }, (_, i) => mul(both, roll(both, i + 1))),
      2,
    );
  }),
  /** (W₁x + b₁) ⊙ (W₂x + b₂): fla's default. */
  elementwise_product: {
    expansion: 1,
    init: (rng, width) => ({
      layer1: square(rng.fold('layer1'), width),
      layer2: square(rng.fold('layer2'), width),
    }),
    apply: ({ layer1, layer2 }, x) =>
      mul(perHead(x, layer1 as LinearParams), perHead(x, layer2 as LinearParams)),
  },
  /** softmax([2(Wx+b), −2(Wx+b)]) (Zhang et al. 2024, "Hedgehog"). */
  hedgehog: {
    expansion: 2,
    init: (_, width) => ({ layer: { weight: identityMatrix(width), bias: zeros([width]) } }),
    apply: ({ layer }, x) => {
      const z = mul(perHead(x, layer as LinearParams), 2);
      return softmax(concat([z, neg(z)], 2)) as Tensor3D;
    },
  },
  /** relu(Wx) (Kasai et al. 2021, "T2R"). */
  t2r: {
    expansion: 1,
    init: (rng, width) => ({ layer: square(rng, width) }),
    apply: ({ layer }, x) => relu(perHead(x, layer as LinearParams)),
  },
} as const satisfies Record<string, FeatureMap>;

export type FeatureMapName = keyof typeof featureMaps;
