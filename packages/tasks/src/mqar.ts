// Multi-query associative recall (Arora et al. 2023, "Zoology: Measuring and improving recall in efficient language
// models", generator `multiquery_ar`): key-value pairs first, then some keys again; the model must name each one's value.
import { checkMqarSegment, mqarSlots, queryDistances, type MqarSegment } from './mqar-segment.ts';
import { once } from './once.ts';
import { slotLogWeights } from './query-slots.ts';
import { fillBetween, recallTask, type RecallConfig, type RecallSettings } from './recall.ts';
import { distinctIntegers, weightedDraws } from './sampling.ts';
import type { ExampleSource, Task } from './task.ts';

export type MqarConfig = RecallConfig<MqarSegment>;

/**
 * The task: P pairs `k₀ v₀ k₁ v₁ …`, then each key once more at position 2P + 2g of a slot g of its own, where the
 * target is its value; {@link IGNORE} everywhere else. Keys are distinct tokens of 1 … V/2−1, values of V/2 … V−1.
 * Slots are drawn in the order of the pairs, so earlier pairs tend to be asked for sooner.
 *
 * ```ts
 * const task = mqar({ vocabSize: 128, segments: [{ tokens: 64, pairs: 8 }, { tokens: 64, pairs: 16, weight: 3 }] });
 * const { inputs, targets } = task.batch(Rng.of(1), { index: 0, size: 32, split: 'train' });
 * ```
 *
 * @throws MnemixError `config`, naming the key: an unknown one, or sizes that leave no room
 */
export function mqar(config: MqarConfig): Task {
  return recallTask({ name: 'mqar', check: checkMqarSegment, source: segmentSource }, config);
}

function segmentSource(segment: MqarSegment, settings: RecallSettings): ExampleSource {
  const { tokens, pairs, weight, examples } = segment;
  const { vocabSize, exponent } = settings;
  const half = Math.floor(vocabSize / 2);
  const logWeights = slotLogWeights(mqarSlots(segment), exponent);
  return {
    name: `T${tokens}-P${pairs}`,
    tokens,
    weight,
    examples,
    reaches: once(() => queryDistances({ tokens, pairs }, exponent)),
    // Values are distinct, so that those in sight can be ruled out.
    guess: 1 / (vocabSize - half - (pairs - 1)),
    write(rng, inputs, targets, reach) {
      const keys = distinctIntegers(rng.fold('keys'), pairs, 1, half);
      const values = distinctIntegers(rng.fold('values'), pairs, half, vocabSize);
      const slots = weightedDraws(rng.fold('slots'), logWeights, pairs);
      keys.forEach((key, i) => {
        const value = values[i] as number;
        const query = 2 * pairs + 2 * (slots[i] as number);
        inputs[2 * i] = key;
        inputs[2 * i + 1] = value;
        inputs[query] = key;
        targets[query] = value;
        reach[query] = query - 2 * i;
      });
      fillBetween(rng, inputs, settings);
    },
  };
}
