// Auxiliary losses that keep a router's load even and its scores small.
import {
  cast,
  checkConfig,
  concat,
  defineOp,
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
  stopGradient,
  sub,
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

type BalanceInputs = { logits: Tensor; choices: Tensor; rowSequence: Tensor };
type SlopeInputs = { logits: Tensor; rowSequence: Tensor; load: Tensor; rowWeight: Tensor; dLoss: Tensor };
/** `rowWeight`, of a real row in a mean over them, is a scalar. */
type Balance = { loss: Tensor; load: Tensor; rowWeight: Tensor };

const isReal = (rowSequence: Tensor): Tensor => cast(greaterEqual(rowSequence, 0), 'float32');

// As for the choice itself, single nodes that a backend can have kernels for.
const slopeOp = defineOp<SlopeInputs, { dLogits: Tensor }, { topK: number }>({
  name: 'RouteBalanceBackward',
  outputs: ['dLogits'],
  integers: ['rowSequence'],
  portable: ({ logits, rowSequence, load, rowWeight, dLoss }, { topK }) => {
    const memories = logits.shape[1] as number;
    const probability = softmax(logits);
    const slopes = mul(probability, sub(load, sum(mul(probability, load), -1, true)));
    const weights = mul(isReal(rowSequence), mul(mul(rowWeight, dLoss), memories * topK));
    return { dLogits: mul(slopes, expandDims(weights, 1)) };
  },
});

const balanceOp = defineOp<BalanceInputs, Balance, object>({
  name: 'RouteBalance',
  outputs: ['loss', 'load', 'rowWeight'],
  savedOutputs: ['load', 'rowWeight'],
  integers: ['choices', 'rowSequence'],
  portable: ({ logits, choices, rowSequence }) => {
    const memories = logits.shape[1] as number;
    const topK = choices.shape[1] as number;
    const real = isReal(rowSequence);
    const rowWeight = div(1, maximum(sum(real), 1));
    const weights = expandDims(mul(real, rowWeight), 1);
    const load = div(sum(mul(sum(oneHot(choices, memories), 1), weights), 0), topK);
    const probability = sum(mul(softmax(logits), weights), 0);
    return { loss: mul(sum(mul(load, probability)), memories * topK), load, rowWeight };
  },
  gradient: ({ inputs: { logits, choices, rowSequence }, outputs: { load, rowWeight }, grads }) => ({
    logits: slopeOp(
      { logits, rowSequence, load, rowWeight, dLoss: grads.loss },
      { topK: choices.shape[1] as number },
    ).dLogits,
  }),
});

const balanceOf = (sample: RoutingSample): Balance => {
  const { logits, choices, rowSequence = allReal(sample) } = sample;
  // The choices come from what has a gradient, but have none themselves.
  return balanceOp({ logits, choices: stopGradient(choices), rowSequence }, {});
};

/** Share of the real tokens' copies that each memory receives, [M]; sums to one. A constant to gradients. */
export const routingLoad = (sample: RoutingSample): Tensor1D =>
  noGrad(() => tidy(() => balanceOf(sample).load as Tensor1D));

const balance = (sample: RoutingSample): Scalar => balanceOf(sample).loss as Scalar;

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
