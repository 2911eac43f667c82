// MQAR whose keys are two tokens, neither of which tells the value alone (the variant `compositional_mqar` of the Zoology
// repository, after Arora et al. 2023).
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { addTo } from './distributions.ts';
import { once } from './once.ts';
import { slotLogWeights, slotProbabilities } from './query-slots.ts';
import {
  fillBetween,
  recallTask,
  type RecallConfig,
  type RecallSegment,
  type RecallSettings,
} from './recall.ts';
import { distinctIntegers, weightedDraws } from './sampling.ts';
import type { ExampleSource, Task } from './task.ts';

/** Sequences of length L ≥ 6P; P is a square. */
export type CompositionalMqarSegment = RecallSegment;

export type CompositionalMqarConfig = RecallConfig<CompositionalMqarSegment>;

/**
 * The task: √P first and √P second key tokens make a grid of P keys. In random order, each stands once with its value,
 * `a b v`; then each key once more in a slot of three tokens, drawn as in {@link mqar}, where at the second key token
 * the target is the value. First key tokens are distinct tokens of 1 … V/3−1, second ones of V/3 … 2V/3−1, values of
 * 2V/3 … V−1.
 *
 * @throws MnemixError `config`, naming the key: an unknown one, or sizes that leave no room
 */
export function compositionalMqar(config: CompositionalMqarConfig): Task {
  return recallTask({ name: 'compositional_mqar', check: checkSegment, source: segmentSource }, config);
}

function checkSegment(where: string, segment: CompositionalMqarSegment): void {
  checkKeys(`${where}.`, segment, ['tokens', 'pairs', 'weight', 'examples']);
  const { tokens, pairs } = segment;
  checkInteger(`${where}.tokens`, tokens, 6);
  checkInteger(`${where}.pairs`, pairs, 1);
  const side = Math.floor(Math.sqrt(pairs));
  checkConfig(
    side * side === pairs,
    `${where}.pairs`,
    `${pairs} is no square, but the keys are a grid.`,
    `Choose ${side * side} or ${(side + 1) ** 2}.`,
  );
  checkConfig(
    6 * pairs <= tokens,
    `${where}.pairs`,
    `${pairs} pairs and their queries need at least ${6 * pairs} tokens, the sequence has ${tokens}.`,
    `Choose pairs ≤ ${Math.floor(tokens / 6)} or tokens ≥ ${6 * pairs}.`,
  );
}

function segmentSource(segment: CompositionalMqarSegment, settings: RecallSettings): ExampleSource {
  const { tokens, pairs, weight, examples } = segment;
  const { vocabSize, exponent } = settings;
  const side = Math.sqrt(pairs);
  const third = Math.floor(vocabSize / 3);
  const slots = Math.floor((tokens - 3 * pairs) / 3);
  const logWeights = slotLogWeights(slots, exponent);
  return {
    name: `T${tokens}-P${pairs}`,
    tokens,
    weight,
    examples,
    reaches: once(() => {
      const reaches = new Float64Array(tokens);
      slotProbabilities(logWeights, pairs).forEach((probability, at) => {
        const [i, g] = [Math.floor(at / slots), at % slots];
        addTo(reaches, 3 * (pairs + g - i), probability / pairs);
      });
      return reaches;
    }),
    guess: 1 / (vocabSize - 2 * third - (pairs - 1)),
    write(rng, inputs, targets, reach) {
      const firsts = distinctIntegers(rng.fold('first keys'), side, 1, third);
      const seconds = distinctIntegers(rng.fold('second keys'), side, third, 2 * third);
      const values = distinctIntegers(rng.fold('values'), pairs, 2 * third, vocabSize);
      const order = rng.fold('order').permutation(pairs);
      const drawn = weightedDraws(rng.fold('slots'), logWeights, pairs);
      order.forEach((cell, i) => {
        const key = [firsts[Math.floor(cell / side)] as number, seconds[cell % side] as number];
        const query = 3 * (pairs + (drawn[i] as number));
        inputs.set([...key, values[i] as number], 3 * i);
        inputs.set(key, query);
        targets[query + 1] = values[i] as number;
        reach[query + 1] = query - 3 * i;
      });
      fillBetween(rng, inputs, settings);
    },
  };
}
