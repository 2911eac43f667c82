// MAD's fuzzy in-context recall (Poli et al. 2024): keys and values are of one to three tokens.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { madSizeKeys, madTask, type MadSizes } from './mad-task.ts';
import { distinctIntegers } from './sampling.ts';
import type { ExampleSource, Split, Task } from './task.ts';

/** Defaults: V 16, L 128, 12,800 examples. */
export interface MadFuzzyRecallConfig extends MadSizes {
  /** Most tokens of a key (default 3). */
  readonly keyTokens?: number;
  /** Most tokens of a value (default 3). */
  readonly valueTokens?: number;
}

type FuzzySizes = Required<Omit<MadFuzzyRecallConfig, 'examples' | 'testExamples'>>;

/**
 * The task: a stream of keys and values, motifs of distinct tokens of the first and the second half of 0 … V−2. In
 * training both have 1 … 3 tokens, in testing keys always have the most; lengths are uniform, then motifs of that length,
 * with replacement. A key has one value throughout the sequence. One pair, the probe, is made sure to occur, and comes
 * again at the end. What is short of the length L is padded on the left with token V−1; the model sees all but the very
 * last token of padding, stream and probe. In training every next token is a target, padding included; in testing only
 * the values of keys that have been seen before, each token at the one before it.
 *
 * Where the original draws the probe's place so that the stream may end before it, leaving nothing to recall, this
 * generator draws among the places that the stream reaches.
 *
 * @throws MnemixError `config`, naming the key
 */
export function madFuzzyRecall(config: MadFuzzyRecallConfig = {}): Task {
  const name = 'mad_fuzzy_recall';
  checkKeys(`${name}: `, config, [...madSizeKeys, 'keyTokens', 'valueTokens']);
  const { vocabSize = 16, tokens = 128, examples = 12_800, testExamples = 1280 } = config;
  const { keyTokens = 3, valueTokens = 3 } = config;
  checkInteger(`${name}: keyTokens`, keyTokens, 1);
  checkInteger(`${name}: valueTokens`, valueTokens, 1);
  checkInteger(`${name}: vocabSize`, vocabSize, 3);
  const half = Math.floor((vocabSize - 1) / 2);
  checkConfig(
    keyTokens <= half && valueTokens <= vocabSize - 1 - half,
    `${name}: vocabSize`,
    `motifs of ${keyTokens} and ${valueTokens} distinct tokens cannot be made of ${half} and ${vocabSize - 1 - half}.`,
    'Choose a larger vocabSize or shorter motifs.',
  );
  const longest = keyTokens + valueTokens;
  checkConfig(
    Number.isSafeInteger(tokens) && tokens >= 3 * longest,
    `${name}: tokens`,
    `found ${tokens}, but the probe, its repetition and one more pair take up to ${3 * longest} tokens.`,
    `Choose an integer ≥ ${3 * longest}.`,
  );
  const sizes = { vocabSize, tokens, keyTokens, valueTokens };
  return madTask(name, { ...sizes, examples, testExamples }, (split) => fuzzySource(sizes, split));
}

function fuzzySource(
  { vocabSize, tokens, keyTokens, valueTokens }: FuzzySizes,
  split: Split,
): Omit<ExampleSource, 'name' | 'examples'> {
  const padding = vocabSize - 1;
  const half = Math.floor(padding / 2);
  const longest = keyTokens + valueTokens;
  return {
    tokens,
    // A value's tokens are distinct, so that those before can be ruled out.
    guess: 1 / (padding - half - (valueTokens - 1)),
    write(rng, inputs, targets, reach) {
      const motifs = rng.fold('motifs');
      const drawKey = (pair: number): number[] => {
        const key = motifs.fold('key').fold(pair);
        const size =
          split === 'test' ? keyTokens : (key.fold('size').integers(1, 1, keyTokens + 1)[0] as number);
        return Array.from(distinctIntegers(key, size, 0, half));
      };
      const drawValue = (pair: number): number[] => {
        const value = motifs.fold('value').fold(pair);
        const size = value.fold('size').integers(1, 1, valueTokens + 1)[0] as number;
        return Array.from(distinctIntegers(value, size, half, padding));
      };

      const probe = drawKey(0);
      const valueOf = new Map([[probe.join(), drawValue(0)]]);
      const probeTokens = probe.length + (valueOf.get(probe.join()) as number[]).length;
      const end = tokens - probeTokens - longest;
      const probePlace = rng.fold('place').integers(1, 0, end - longest + 1)[0] as number;

      const stream: number[] = [];
      /** What the stream's labels reach back to: position of a value's token → position of its latest occurrence. */
      const evidence = new Map<number, number>();
      const latest = new Map<string, number>();
      const append = (key: number[], value: number[]): void => {
        stream.push(...key);
        const seen = latest.get(key.join());
        if (seen !== undefined) value.forEach((_, i) => evidence.set(stream.length + i, seen + i));
        latest.set(key.join(), stream.length);
        stream.push(...value);
      };
      for (let pair = 1; stream.length < end; pair++) {
        const isProbe = stream.length >= probePlace && !latest.has(probe.join());
        const key = isProbe ? probe : drawKey(pair);
        const value = valueOf.get(key.join()) ?? drawValue(pair);
        valueOf.set(key.join(), value);
        append(key, value);
      }
      append(probe, valueOf.get(probe.join()) as number[]);

      const pads = tokens + 1 - stream.length;
      const whole = [...Array<number>(pads).fill(padding), ...stream];
      inputs.set(whole.slice(0, -1));
      if (split === 'train') targets.set(whole.slice(1));
      for (const [place, seen] of evidence) {
        const label = pads + place - 1;
        targets[label] = stream[place] as number;
        reach[label] = place - seen;
      }
    },
  };
}
