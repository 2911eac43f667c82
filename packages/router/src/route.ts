// Which memories a token goes to, and with what weight (Du et al. 2025, "MoM: linear sequence modeling with
// mixture-of-memories", §3).
import { softmax, topK as largest, type Tensor2D } from '@mnemix/tensor';

/** The routing of R tokens over M memories, K of them each. */
export interface Routing {
  /** Router scores, [R,M]. */
  readonly logits: Tensor2D;
  /** Chosen memories, best first, int32 [R,K]; among equal scores the lower index. */
  readonly choices: Tensor2D;
  /** Weights of the chosen memories, [R,K]; they sum to one. */
  readonly weights: Tensor2D;
}

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
  const { values, indices } = largest(logits, topK);
  return { logits, choices: indices as Tensor2D, weights: softmax(values) as Tensor2D };
}
