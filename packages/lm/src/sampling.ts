// Choosing the next token from logits, on the host.
import { checkConfig, checkCount, MnemixError, type Rng } from '@mnemix/tensor';

export interface SamplingOptions {
  /** 0 (default) takes the most likely token; otherwise logits are divided by it. */
  readonly temperature?: number;
  /** Keep only the k most likely tokens. */
  readonly topK?: number;
  /** Keep the most likely tokens that together hold this probability (Holtzman et al. 2019). */
  readonly topP?: number;
}

/**
 * A token drawn from logits [V] after temperature, top-k and top-p, in this order; among equal logits the lowest id
 * first.
 *
 * @throws MnemixError `config` for an option out of range, `value` for logits that are not numbers
 */
export function sampleToken(logits: ArrayLike<number>, rng: Rng, options: SamplingOptions = {}): number {
  const { temperature = 0, topK = Math.max(1, logits.length), topP = 1 } = options;
  checkConfig(
    temperature >= 0,
    'temperature',
    `it is ${temperature}.`,
    'Use 0 for greedy choice or a positive number.',
  );
  checkCount('topK', topK);
  checkConfig(topP > 0 && topP <= 1, 'topP', `it is ${topP}.`, 'Use a number in (0, 1].');
  checkLogits(logits);
  const order = Array.from({ length: logits.length }, (_, id) => id);
  order.sort((a, b) => (logits[b] as number) - (logits[a] as number) || a - b);
  if (temperature === 0) return order[0] as number;

  const kept = order.slice(0, topK);
  const largest = logits[kept[0] as number] as number;
  const weights = kept.map((id) => Math.exp(((logits[id] as number) - largest) / temperature));
  const all = weights.reduce((a, b) => a + b, 0);
  let count = 0;
  for (let mass = 0; count < kept.length && mass < topP * all; count++) mass += weights[count] as number;
  const nucleus = weights.slice(0, count).reduce((a, b) => a + b, 0);
  let rest = (rng.uniformArray(1)[0] as number) * nucleus;
  for (let i = 0; i < count; i++) {
    rest -= weights[i] as number;
    if (rest < 0) return kept[i] as number;
  }
  return kept[count - 1] as number;
}

/** −∞ excludes a token; there must be one that is not excluded. */
function checkLogits(logits: ArrayLike<number>): void {
  let some = false;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id] as number;
    if (Number.isFinite(logit)) some = true;
    else if (logit !== -Infinity) throw badLogits(`the logit of token ${id} is ${logit}.`);
  }
  if (!some) throw badLogits('no token has a finite logit.');
}

const badLogits = (message: string): MnemixError =>
  new MnemixError({
    code: 'value',
    where: 'logits',
    message,
    fix: 'Check the parameters: a diverged training run leaves values that are not finite.',
  });
