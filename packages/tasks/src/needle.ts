// A needle at a distance: one key-value pair, filler, and the key again. With filler that is easily told from the pair, it is
// the sharpest test of keeping one thing for long: a window is blind beyond its reach, a state that decays fades.
import { checkConfig, checkKeys, type Rng } from '@mnemix/tensor';
import { checkInteger, checkIntegers } from './check.ts';
import { defineTask, type ExampleSource, type Task } from './task.ts';

export interface NeedleConfig {
  /** V (default 64). */
  readonly vocabSize?: number;
  /** Length n of the training sequences (default 256). */
  readonly tokens?: number;
  /** Length of the test sequences (default: as in training). */
  readonly testTokens?: number;
  /** Distances from the pair's key to the query to test at, one source each (default: powers of two below `testTokens`). */
  readonly testDistances?: readonly number[];
  /**
   * What lies around the pair: uniform tokens that are neither keys nor values (`'noise'`, default), uniform tokens of
   * the whole vocabulary but for token 0 and the pair's key (`'random'`), or token 0 (`'blank'`).
   */
  readonly fill?: 'noise' | 'random' | 'blank';
}

/**
 * The task: a pair `k v`, filler before and after it, and at the end the key again, where the target is the value. In
 * training the distance d from key to query is uniform in 2 … n−1; a test source has one distance. Keys are tokens of
 * 1 … V/3−1, values of V/3 … 2V/3−1, noise of 2V/3 … V−1. The only label stands at the last position.
 *
 * @throws MnemixError `config`, naming the key
 */
export function needle(config: NeedleConfig = {}): Task {
  checkKeys('needle: ', config, ['vocabSize', 'tokens', 'testTokens', 'testDistances', 'fill']);
  const { vocabSize = 64, tokens = 256, testTokens = tokens, fill = 'noise' } = config;
  checkInteger('needle: vocabSize', vocabSize, 6);
  checkInteger('needle: tokens', tokens, 3);
  checkInteger('needle: testTokens', testTokens, 3);
  const { testDistances = powersOfTwoBelow(testTokens) } = config;
  checkIntegers('needle: testDistances', testDistances, 2);
  const furthest = Math.max(...testDistances);
  checkConfig(
    furthest < testTokens,
    'needle: testDistances',
    `a pair ${furthest} tokens before the query needs sequences of at least ${furthest + 1} tokens, not ${testTokens}.`,
    `Choose distances < ${testTokens}, or testTokens ≥ ${furthest + 1}.`,
  );
  checkConfig(
    ['noise', 'random', 'blank'].includes(fill),
    'needle: fill',
    `found ${String(fill)}.`,
    "Choose 'noise', 'random' or 'blank'.",
  );
  const source = (length: number, distance?: number) => needleSource(length, distance, vocabSize, fill);
  return defineTask({
    name: 'needle',
    config: { vocabSize, tokens, testTokens, testDistances, fill },
    vocabSize,
    train: [source(tokens)],
    test: testDistances.map((distance) => source(testTokens, distance)),
  });
}

function powersOfTwoBelow(limit: number): number[] {
  const powers: number[] = [];
  for (let power = 2; power < limit; power *= 2) powers.push(power);
  return powers;
}

function needleSource(
  tokens: number,
  distance: number | undefined,
  vocabSize: number,
  fill: 'noise' | 'random' | 'blank',
): ExampleSource {
  const third = Math.floor(vocabSize / 3);
  const last = tokens - 1;
  return {
    name: distance === undefined ? `T${tokens}` : `T${tokens}-D${distance}`,
    tokens,
    reaches: () =>
      Float64Array.from({ length: tokens }, (_, d) => {
        if (distance !== undefined) return d === distance ? 1 : 0;
        return d < 2 ? 0 : 1 / (tokens - 2);
      }),
    guess: 1 / third,
    write(rng, inputs, targets, reach) {
      const key = rng.fold('key').integers(1, 1, third)[0] as number;
      const value = rng.fold('value').integers(1, third, 2 * third)[0] as number;
      const d = distance ?? (rng.fold('distance').integers(1, 2, tokens)[0] as number);
      if (fill !== 'blank') inputs.set(filler(rng.fold('fill'), fill, tokens, key, vocabSize));
      inputs[last - d] = key;
      inputs[last - d + 1] = value;
      inputs[last] = key;
      targets[last] = value;
      reach[last] = d;
    },
  };
}

function filler(
  rng: Rng,
  fill: 'noise' | 'random',
  count: number,
  key: number,
  vocabSize: number,
): Int32Array {
  if (fill === 'noise') return rng.integers(count, 2 * Math.floor(vocabSize / 3), vocabSize);
  return rng.integers(count, 1, vocabSize - 1).map((token) => (token < key ? token : token + 1));
}
