// Which memories a token goes to, and with what weight (Du et al. 2025, "MoM: linear sequence modeling with
// mixture-of-memories", §3).
import {
  add,
  checkConfig,
  defineOp,
  expandDims,
  mul,
  oneHot,
  softmax,
  sub,
  sum,
  topK as largest,
  type Tensor,
  type Tensor2D,
} from '@mnemix/tensor';

/** The routing of R tokens over M memories, K of them each. */
export interface Routing {
  /** Router scores, [R,M]: those given. The gradient of losses on them is added where that of the weights is made. */
  readonly logits: Tensor2D;
  /** Chosen memories, best first, int32 [R,K]; among equal scores the lower index. */
  readonly choices: Tensor2D;
  /** Weights of the chosen memories, [R,K]; they sum to one. */
  readonly weights: Tensor2D;
}

interface BackwardInputs {
  readonly choices: Tensor;
  readonly weights: Tensor;
  readonly dWeights: Tensor;
  /** Of the logits that were passed on, where anything used them. */
  readonly dPassed: Tensor | undefined;
  readonly [name: string]: Tensor | undefined;
}

// The two are single nodes of the tape so that a backend can have a kernel for each.
const backwardOp = defineOp<BackwardInputs, { dLogits: Tensor }, { memories: number }>({
  name: 'RouteBackward',
  outputs: ['dLogits'],
  integers: ['choices'],
  portable: ({ choices, weights, dWeights, dPassed }, { memories }) => {
    const shares = mul(weights, dWeights);
    const slopes = sub(shares, mul(weights, sum(shares, -1, true)));
    const dLogits = sum(mul(oneHot(choices, memories), expandDims(slopes, -1)), 1);
    return { dLogits: dPassed ? add(dLogits, dPassed) : dLogits };
  },
});

const routeOp = defineOp<
  { logits: Tensor },
  { choices: Tensor; weights: Tensor },
  { topK: number },
  'logits'
>({
  name: 'Route',
  outputs: ['choices', 'weights'],
  passes: ['logits'],
  savedOutputs: ['choices', 'weights'],
  portable: ({ logits }, { topK }) => {
    const { values, indices } = largest(logits, topK);
    return { choices: indices, weights: softmax(values) };
  },
  gradient: ({ inputs: { logits }, outputs: { choices, weights }, grads, used }) => ({
    logits: backwardOp(
      { choices, weights, dWeights: grads.weights, dPassed: used.has('logits') ? grads.logits : undefined },
      { memories: logits.shape[1] as number },
    ).dLogits,
  }),
});

/**
 * Chooses the `topK` best memories of every token.
 *
 * The paper divides the chosen softmax probabilities by their sum; that equals a softmax over the chosen scores alone,
 * which is cheaper and cannot underflow. Scores that were not chosen receive a gradient from auxiliary losses only.
 *
 * @param logits [R,M]
 * @throws MnemixError `config` unless 1 ≤ topK ≤ M
 */
export function route(logits: Tensor2D, topK: number): Routing {
  const memories = logits.shape[1];
  checkConfig(
    Number.isInteger(topK) && topK >= 1 && topK <= memories,
    'route(topK)',
    `each token should go to ${topK} of ${memories} memories.`,
    `Choose topK between 1 and ${memories}.`,
  );
  return routeOp({ logits }, { topK }) as Routing;
}
