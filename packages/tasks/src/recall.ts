// What multi-query associative recall and its variants share: their options, and how a list of segments becomes a task.
import { checkConfig, checkKeys, type Rng } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { defineTask, type ExampleSource, type Task } from './task.ts';

/** Sequences of one length and number of pairs. */
export interface RecallSegment {
  /** Length L of the sequences. */
  readonly tokens: number;
  /** Key-value pairs P, each queried once. */
  readonly pairs: number;
  /** Share of the batches (default 1), where every example is new. */
  readonly weight?: number;
  /** Size of a fixed data set instead. The segments are then passed through in order, epoch by epoch. */
  readonly examples?: number;
}

export interface RecallConfig<Segment extends RecallSegment> {
  /** V, more than the longest sequence (default 8192). */
  readonly vocabSize?: number;
  /** What to train on: one segment, or a mixture. A batch holds sequences of one segment. */
  readonly segments: readonly Segment[];
  /** What to test on (default: the same segments, other examples). */
  readonly testSegments?: readonly Segment[];
  /** What stands between the queries: uniform tokens of the whole vocabulary (default), or token 0. */
  readonly fill?: 'random' | 'blank';
  /** a of the queries' distribution over slots, p(g) ∝ (g+1)^(a−1): small means soon (default 0.01). */
  readonly exponent?: number;
}

/** The options that hold for all segments of a task, defaults filled in. */
export interface RecallSettings {
  readonly vocabSize: number;
  readonly fill: 'random' | 'blank';
  readonly exponent: number;
}

interface RecallVariant<Segment extends RecallSegment> {
  readonly name: string;
  /** @throws MnemixError `config` for sizes that leave no room */
  readonly check: (where: string, segment: Segment) => void;
  readonly source: (segment: Segment, settings: RecallSettings) => ExampleSource;
}

/** @throws MnemixError `config`, naming the key */
export function recallTask<Segment extends RecallSegment>(
  { name, check, source }: RecallVariant<Segment>,
  config: RecallConfig<Segment>,
): Task {
  checkKeys(`${name}: `, config, ['vocabSize', 'segments', 'testSegments', 'fill', 'exponent']);
  const { vocabSize = 8192, segments, testSegments = segments, fill = 'random', exponent = 0.01 } = config;
  checkInteger(`${name}: vocabSize`, vocabSize, 1);
  checkConfig(
    ['random', 'blank'].includes(fill),
    `${name}: fill`,
    `found ${String(fill)}.`,
    "Choose 'random' or 'blank'.",
  );
  checkConfig(
    Number.isFinite(exponent),
    `${name}: exponent`,
    `expected a number, found ${exponent}.`,
    'Choose e.g. 0.01.',
  );
  const sources = (key: string, list: readonly Segment[]): ExampleSource[] => {
    checkConfig(
      Array.isArray(list),
      `${name}: ${key}`,
      'expected a list.',
      'Pass e.g. [{ tokens: 64, pairs: 4 }].',
    );
    return list.map((segment, i) => {
      check(`${name}: ${key}[${i}]`, segment);
      checkConfig(
        vocabSize > segment.tokens,
        `${name}: vocabSize`,
        `${vocabSize} is not more than the ${segment.tokens} tokens of ${key}[${i}].`,
        `Choose vocabSize ≥ ${segment.tokens + 1}, or shorter sequences.`,
      );
      return source(segment, { vocabSize, fill, exponent });
    });
  };
  return defineTask({
    name,
    config: { vocabSize, segments, testSegments, fill, exponent },
    vocabSize,
    train: sources('segments', segments),
    test: sources('testSegments', testSegments),
  });
}

/** @throws MnemixError `config` unless L is even: pairs and queries take two tokens each */
export function checkEven(where: string, tokens: number): void {
  checkConfig(
    tokens % 2 === 0,
    `${where}.tokens`,
    `${tokens} is odd; tokens come in pairs.`,
    `Choose ${tokens + 1}.`,
  );
}

/** What stands where nothing was written: tokens of the whole vocabulary, keys and values included, or token 0. */
export function fillBetween(rng: Rng, inputs: Int32Array, { vocabSize, fill }: RecallSettings): void {
  if (fill === 'blank') return;
  rng
    .fold('fill')
    .integers(inputs.length, 0, vocabSize)
    .forEach((token, t) => {
      if (inputs[t] === 0) inputs[t] = token;
    });
}
