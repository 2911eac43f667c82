// Multi-query associative recall (Arora et al. 2023, "Zoology: Measuring and improving recall in efficient language
// models", generator `multiquery_ar`): key-value pairs first, then some keys again; the model must name each one's value.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { distinctIntegers, weightedDraws } from './sampling.ts';
import { defineTask, type ExampleSource, type Task } from './task.ts';

/** Sequences of one length and number of pairs. */
export interface MqarSegment {
  /** Length L of the sequences: even. */
  readonly tokens: number;
  /** Key-value pairs P, each queried once: 4P ≤ L. */
  readonly pairs: number;
  /** Share of the batches (default 1), where every example is new. */
  readonly weight?: number;
  /** Size of a fixed data set instead. The segments are then passed through in order, epoch by epoch. */
  readonly examples?: number;
}

export interface MqarConfig {
  /** V, more than the longest sequence (default 8192). */
  readonly vocabSize?: number;
  /** What to train on: one segment, or a mixture. A batch holds sequences of one segment. */
  readonly segments: readonly MqarSegment[];
  /** What to test on (default: the same segments, other examples). */
  readonly testSegments?: readonly MqarSegment[];
  /** What stands between the queries: uniform tokens of the whole vocabulary (default), or token 0. */
  readonly fill?: 'random' | 'blank';
  /** a of the queries' distribution over slots, p(g) ∝ (g+1)^(a−1): small means soon (default 0.01). */
  readonly exponent?: number;
}

/** Log-weights of the slots for queries, ln (g+1)^(a−1) for g = 0 … (L−2P)/2 − 1. */
export const slotLogWeights = ({ tokens, pairs }: MqarSegment, exponent: number): Float64Array =>
  Float64Array.from({ length: tokens / 2 - pairs }, (_, g) => (exponent - 1) * Math.log(g + 1));

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
  checkKeys('mqar: ', config, ['vocabSize', 'segments', 'testSegments', 'fill', 'exponent']);
  const { vocabSize = 8192, segments, testSegments = segments, fill = 'random', exponent = 0.01 } = config;
  checkInteger('mqar: vocabSize', vocabSize, 1);
  checkConfig(
    ['random', 'blank'].includes(fill),
    'mqar: fill',
    `found ${String(fill)}.`,
    "Choose 'random' or 'blank'.",
  );
  checkConfig(
    Number.isFinite(exponent),
    'mqar: exponent',
    `expected a number, found ${exponent}.`,
    'Choose e.g. 0.01.',
  );
  const sources = (key: string, list: readonly MqarSegment[]): ExampleSource[] => {
    checkConfig(
      Array.isArray(list),
      `mqar: ${key}`,
      'expected a list.',
      'Pass e.g. [{ tokens: 64, pairs: 4 }].',
    );
    return list.map((segment, i) => {
      checkSegment(`mqar: ${key}[${i}]`, segment);
      checkConfig(
        vocabSize > segment.tokens,
        'mqar: vocabSize',
        `${vocabSize} is not more than the ${segment.tokens} tokens of ${key}[${i}].`,
        `Choose vocabSize ≥ ${segment.tokens + 1}, or shorter sequences.`,
      );
      return segmentSource(segment, vocabSize, fill, exponent);
    });
  };
  return defineTask({
    name: 'mqar',
    config: { vocabSize, segments, testSegments, fill, exponent },
    vocabSize,
    train: sources('segments', segments),
    test: sources('testSegments', testSegments),
  });
}

/** @throws MnemixError `config` where L is odd or 4P > L */
export function checkSegment(where: string, segment: MqarSegment): void {
  checkKeys(`${where}.`, segment, ['tokens', 'pairs', 'weight', 'examples']);
  const { tokens, pairs } = segment;
  checkInteger(`${where}.tokens`, tokens, 4);
  checkInteger(`${where}.pairs`, pairs, 1);
  checkConfig(
    tokens % 2 === 0,
    `${where}.tokens`,
    `${tokens} is odd; tokens come in pairs.`,
    `Choose ${tokens + 1}.`,
  );
  checkConfig(
    4 * pairs <= tokens,
    `${where}.pairs`,
    `${pairs} pairs and their queries need at least ${4 * pairs} tokens, the sequence has ${tokens}.`,
    `Choose pairs ≤ ${Math.floor(tokens / 4)} or tokens ≥ ${4 * pairs}.`,
  );
}

function segmentSource(
  segment: MqarSegment,
  vocabSize: number,
  fill: 'random' | 'blank',
  exponent: number,
): ExampleSource {
  const { tokens, pairs, weight, examples } = segment;
  const half = Math.floor(vocabSize / 2);
  const logWeights = slotLogWeights(segment, exponent);
  return {
    name: `T${tokens}-P${pairs}`,
    tokens,
    weight,
    examples,
    write(rng, inputs, targets) {
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
      });
      if (fill === 'blank') return;
      rng
        .fold('fill')
        .integers(tokens, 0, vocabSize)
        .forEach((token, t) => {
          if (inputs[t] === 0) inputs[t] = token;
        });
    },
  };
}
