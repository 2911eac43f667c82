// The sizes of MQAR, and how far back its queries reach.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { addTo } from './distributions.ts';
import { slotLogWeights, slotProbabilities } from './query-slots.ts';
import { checkEven, type RecallSegment } from './recall.ts';

/** Sequences of an even length L, with 4P ≤ L. */
export type MqarSegment = RecallSegment;

/** Slots of two tokens behind the context. */
export const mqarSlots = ({ tokens, pairs }: MqarSegment): number => tokens / 2 - pairs;

/** @throws MnemixError `config` where L is odd or 4P > L */
export function checkMqarSegment(where: string, segment: MqarSegment): void {
  checkKeys(`${where}.`, segment, ['tokens', 'pairs', 'weight', 'examples']);
  const { tokens, pairs } = segment;
  checkInteger(`${where}.tokens`, tokens, 4);
  checkInteger(`${where}.pairs`, pairs, 1);
  checkEven(where, tokens);
  checkConfig(
    4 * pairs <= tokens,
    `${where}.pairs`,
    `${pairs} pairs and their queries need at least ${4 * pairs} tokens, the sequence has ${tokens}.`,
    `Choose pairs ≤ ${Math.floor(tokens / 4)} or tokens ≥ ${4 * pairs}.`,
  );
}

/**
 * Distribution of the distance from a key to its query: entry d is the probability that a query stands d tokens
 * after the key that it repeats, d = 0 … L−1. Exact, up to quadrature at about 1e-9; no sampling. Its value stands one
 * token later, so that it is among the last d tokens: d is the label's reach.
 *
 * Cost O((L/2−P)² · √P) times a few hundred: milliseconds at L 256, a few seconds at L 2048.
 *
 * @param exponent a of the slots' weights, as in the task
 * @throws MnemixError `config` for sizes that MQAR refuses
 */
export function queryDistances(segment: MqarSegment, exponent = 0.01): Float64Array {
  checkMqarSegment('queryDistances(segment)', segment);
  const { tokens, pairs } = segment;
  const slots = mqarSlots(segment);
  const distances = new Float64Array(tokens);
  slotProbabilities(slotLogWeights(slots, exponent), pairs).forEach((probability, at) => {
    const [i, g] = [Math.floor(at / slots), at % slots];
    addTo(distances, 2 * (pairs + g - i), probability / pairs);
  });
  return distances;
}
