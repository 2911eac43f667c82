// MQAR whose pairs change: some keys come a second time with another value, and the latest counts (the variant
// `forgetting_mqar` of the Zoology repository, after Arora et al. 2023).
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { addTo } from './distributions.ts';
import { once } from './once.ts';
import { slotLogWeights, slotProbabilities } from './query-slots.ts';
import {
  checkEven,
  fillBetween,
  recallTask,
  type RecallConfig,
  type RecallSegment,
  type RecallSettings,
} from './recall.ts';
import { distinctIntegers, weightedDraws } from './sampling.ts';
import type { ExampleSource, Task } from './task.ts';

/** Sequences of an even length L, with 4P + 2U ≤ L. */
export interface ForgettingMqarSegment extends RecallSegment {
  /** Keys U that get a second value: at most P (default 4, as published). */
  readonly updates?: number;
}

export type ForgettingMqarConfig = RecallConfig<ForgettingMqarSegment>;

/**
 * The task: P pairs `k₀ v₀ k₁ v₁ …`, then U of these keys in random order, each with a new value, then each of the P
 * keys once more in a slot of two tokens, drawn as in {@link mqar}, where the target is its latest value. All P + U
 * values are distinct (the original only means to keep a key's two values apart), so the answer says which was read.
 *
 * @throws MnemixError `config`, naming the key: an unknown one, or sizes that leave no room
 */
export function forgettingMqar(config: ForgettingMqarConfig): Task {
  return recallTask({ name: 'forgetting_mqar', check: checkSegment, source: segmentSource }, config);
}

const updatesOf = ({ updates = 4 }: ForgettingMqarSegment): number => updates;

function checkSegment(where: string, segment: ForgettingMqarSegment): void {
  checkKeys(`${where}.`, segment, ['tokens', 'pairs', 'updates', 'weight', 'examples']);
  const { tokens, pairs } = segment;
  const updates = updatesOf(segment);
  checkInteger(`${where}.tokens`, tokens, 4);
  checkInteger(`${where}.pairs`, pairs, 1);
  checkInteger(`${where}.updates`, updates, 0);
  checkEven(where, tokens);
  checkConfig(
    updates <= pairs,
    `${where}.updates`,
    `${updates} of ${pairs} keys cannot get a second value.`,
    `Choose updates ≤ ${pairs}.`,
  );
  const needed = 4 * pairs + 2 * updates;
  checkConfig(
    needed <= tokens,
    `${where}.pairs`,
    `${pairs} pairs, ${updates} updates and the queries need at least ${needed} tokens, the sequence has ${tokens}.`,
    `Choose fewer pairs or updates, or tokens ≥ ${needed}.`,
  );
}

function segmentSource(segment: ForgettingMqarSegment, settings: RecallSettings): ExampleSource {
  const { tokens, pairs, weight, examples } = segment;
  const updates = updatesOf(segment);
  const { vocabSize, exponent } = settings;
  const half = Math.floor(vocabSize / 2);
  const context = 2 * (pairs + updates);
  const logWeights = slotLogWeights((tokens - context) / 2, exponent);
  return {
    name: `T${tokens}-P${pairs}-U${updates}`,
    tokens,
    weight,
    examples,
    reaches: once(() => reachesOf(tokens, pairs, updates, logWeights)),
    guess: 1 / (vocabSize - half - (pairs + updates - 1)),
    write(rng, inputs, targets, reach) {
      const keys = distinctIntegers(rng.fold('keys'), pairs, 1, half);
      const values = distinctIntegers(rng.fold('values'), pairs + updates, half, vocabSize);
      const updated = distinctIntegers(rng.fold('updates'), updates, 0, pairs);
      const slots = weightedDraws(rng.fold('slots'), logWeights, pairs);
      // Number of the pair, of all P + U, that holds a key's latest value.
      const latest = Int32Array.from(keys, (_, i) => i);
      updated.forEach((i, u) => (latest[i] = pairs + u));
      values.forEach((value, n) => {
        inputs[2 * n] = keys[n < pairs ? n : (updated[n - pairs] as number)] as number;
        inputs[2 * n + 1] = value;
      });
      keys.forEach((key, i) => {
        const query = context + 2 * (slots[i] as number);
        const pair = latest[i] as number;
        inputs[query] = key;
        targets[query] = values[pair] as number;
        reach[query] = query - 2 * pair;
      });
      fillBetween(rng, inputs, settings);
    },
  };
}

/** A key stays with its first pair, or moves to each of the U updates with probability 1/P. */
function reachesOf(tokens: number, pairs: number, updates: number, logWeights: Float64Array): Float64Array {
  const slots = logWeights.length;
  const reaches = new Float64Array(tokens);
  slotProbabilities(logWeights, pairs).forEach((probability, at) => {
    const [i, g] = [Math.floor(at / slots), at % slots];
    const query = 2 * (pairs + updates + g);
    const add = (pair: number, share: number): void =>
      addTo(reaches, query - 2 * pair, (probability * share) / pairs);
    add(i, 1 - updates / pairs);
    for (let u = 0; u < updates; u++) add(pairs + u, 1 / pairs);
  });
  return reaches;
}
