// Auxiliary losses that keep a router's load even and its scores small.
import {
  cast,
  checkConfig,
  concat,
  div,
  expandDims,
  greaterEqual,
  logSumExp,
  maximum,
  mean,
  mul,
  noGrad,
  oneHot,
  ones,
  softmax,
  square,
  stack,
  sum,
  tidy,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@mnemix/tensor';
import type { Routing } from './route.ts';

/** What the losses need of one layer's routing. */
export interface RoutingSample extends Pick<Routing, 'logits' | 'choices'> {
  /** Sequence of each row, int32 [R]; rows of −1 (padding) do not count. Left out: all rows count. */
  readonly rowSequence?: Tensor1D | undefined;
}

/** Every row counts. */
const allReal = ({ logits }: RoutingSample): Tensor => cast(ones([logits.shape[0]]), 'int32');

/** Weight of each row of all samples in a mean over the real ones, [R]; sums to one. */
function rowWeights(samples: readonly RoutingSample[]): Tensor1D {
  return noGrad(() =>
    tidy(() => {
      const sequences = samples.map((sample) => sample.rowSequence ?? allReal(sample)) as Tensor1D[];
      const real = cast(greaterEqual(concat(sequences), 0), 'float32') as Tensor1D;
      return div(real, maximum(sum(real), 1));
    }),
  );
}

/** All layers' rows as one sample; the layers have equal M and K. */
function pool(samples: readonly RoutingSample[]): RoutingSample {
  const [only] = samples;
  if (samples.length === 1) return only as RoutingSample;
  const rows = (part: (sample: RoutingSample) => Tensor): Tensor => concat(samples.map(part), 0);
  return {
    logits: rows(({ logits }) => logits) as Tensor2D,
    choices: rows(({ choices }) => choices) as Tensor2D,
    rowSequence: rows((sample) => sample.rowSequence ?? allReal(sample)) as Tensor1D,
  };
}

/** The samples with equal M and K together, in order of first appearance. */
function byKind(samples: readonly RoutingSample[]): RoutingSample[][] {
  const kinds = new Map<string, RoutingSample[]>();
  for (const sample of samples) {
    const kind = `${sample.logits.shape[1]} ${sample.choices.shape[1]}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), sample]);
  }
  return [...kinds.values()];
}

/**
 * Share of the real tokens' copies that each memory receives, [M]; sums to one.
 */
export function routingLoad(sample: RoutingSample): Tensor1D {
  return noGrad(() =>
    tidy(() => {
      const [, memories] = sample.logits.shape;
      const [, topK] = sample.choices.shape;
      const chosen = sum(oneHot(sample.choices, memories), 1);
      return div(sum(mul(chosen, expandDims(rowWeights([sample]), 1)), 0), topK) as Tensor1D;
    }),
  );
}

function balance(sample: RoutingSample): Scalar {
  const [, memories] = sample.logits.shape;
  const [, topK] = sample.choices.shape;
  const probability = sum(mul(softmax(sample.logits), expandDims(rowWeights([sample]), 1)), 0);
  return mul(sum(mul(routingLoad(sample), probability)), memories * topK) as Scalar;
}

/**
 * The load-balancing loss of Switch Transformers as MoM's code computes it: M · Σ_k Σ_e F_{k,e} P_e, where F_{k,e} is
 * the share of tokens whose k-th choice is e (a constant) and P_e the mean softmax probability of e. K at perfect
 * balance.
 *
 * @param samples one a layer
 * @param scope `pooled`: the rows of all layers are one sample, as in fla; `layer`: the mean of every layer's own loss.
 * Layers with other numbers of memories or choices are pooled apart, and each pool counts by its layers.
 */
export function balanceLoss(samples: readonly RoutingSample[], scope: 'pooled' | 'layer' = 'pooled'): Scalar {
  checkSamples('balanceLoss', samples);
  if (scope === 'layer') return mean(stack(samples.map(balance))) as Scalar;
  const parts = byKind(samples).map((kind) => mul(balance(pool(kind)), kind.length / samples.length));
  return sum(stack(parts)) as Scalar;
}

/** The router z-loss (Zoph et al. 2022, eq. 5): the mean over tokens of (ln Σ_e e^{ℓ_e})², pooled over layers. */
export function zLoss(samples: readonly RoutingSample[]): Scalar {
  checkSamples('zLoss', samples);
  const squares = concat(samples.map(({ logits }) => square(logSumExp(logits, -1))));
  return sum(mul(squares, rowWeights(samples))) as Scalar;
}

function checkSamples(where: string, samples: readonly RoutingSample[]): void {
  checkConfig(
    samples.length > 0,
    `${where}(samples)`,
    'there is no routing to judge.',
    'Pass one sample for each MoM layer.',
  );
}
