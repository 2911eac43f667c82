// The stream of key-value pairs of MAD's in-context recall, with or without noise.
import type { ExampleSource, Split } from './task.ts';

interface RecallStreamSizes {
  readonly vocabSize: number;
  /** L, the last value included. */
  readonly tokens: number;
  readonly noiseSymbols: number;
  readonly noise: number;
}

export function recallStream(
  { vocabSize, tokens, noiseSymbols, noise }: RecallStreamSizes,
  split: Split,
): Omit<ExampleSource, 'name' | 'examples'> {
  const symbols = vocabSize - noiseSymbols;
  const half = Math.floor(symbols / 2);
  const last = tokens / 2 - 1;
  return {
    tokens: tokens - 1,
    guess: 1 / (symbols - half),
    write(rng, inputs, targets, reach) {
      const keys = rng.fold('keys').integers(last, 0, half);
      const values = rng.fold('values').integers(half, half, symbols);
      const isNoise = rng
        .fold('noise')
        .uniformArray(last)
        .map((u) => Number(u < noise));
      isNoise[rng.fold('kept').integers(1, 0, last)[0] as number] = 0;
      const noiseTokens = rng.fold('noise tokens').integers(noise > 0 ? 2 * last : 0, symbols, vocabSize);
      const stream = new Int32Array(tokens);
      /** Position of each key's latest value. */
      const latest = new Map<number, number>();
      const writePair = (at: number, key: number): void => {
        stream[at] = key;
        stream[at + 1] = values[key] as number;
        const seen = latest.get(key);
        latest.set(key, at + 1);
        if (seen === undefined) return;
        targets[at] = values[key] as number;
        reach[at] = at - seen + 1;
      };
      keys.forEach((key, i) => {
        if (isNoise[i] === 1) stream.set(noiseTokens.subarray(2 * i, 2 * i + 2), 2 * i);
        else writePair(2 * i, key);
      });
      const asked = rng.fold('asked').integers(1, 0, latest.size)[0] as number;
      writePair(2 * last, [...latest.keys()][asked] as number);
      inputs.set(stream.subarray(0, -1));
      if (split === 'train') targets.set(stream.subarray(1));
    },
  };
}
