import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { mqar, queryDistances, windowCeiling } from '../src/index.ts';
import { sequences } from './sequences.ts';

/** Distances by walking through every ordered choice of slots. */
function enumeratedDistances(tokens: number, pairs: number, exponent: number): number[] {
  const weights = Array.from({ length: tokens / 2 - pairs }, (_, g) => (g + 1) ** (exponent - 1));
  const distances = Array<number>(tokens).fill(0);
  const walk = (i: number, free: number[], probability: number): void => {
    if (i === pairs) return;
    const total = free.reduce((sum, g) => sum + (weights[g] as number), 0);
    for (const g of free) {
      const chance = (probability * (weights[g] as number)) / total;
      distances[2 * (pairs + g - i)]! += chance / pairs;
      walk(
        i + 1,
        free.filter((other) => other !== g),
        chance,
      );
    }
  };
  walk(
    0,
    weights.map((_, g) => g),
    1,
  );
  return distances;
}

describe('the distances from keys to queries', () => {
  it.each([
    [4, 1, 0.01],
    [12, 2, 0.01],
    [16, 4, 0.01],
    [16, 3, 1],
    [20, 4, 0.5],
  ])(
    'equal those of all ordered choices of slots: %i tokens, %i pairs, exponent %d',
    (tokens, pairs, exponent) => {
      const expected = enumeratedDistances(tokens, pairs, exponent);
      queryDistances({ tokens, pairs }, exponent).forEach((probability, d) => {
        expect(Math.abs(probability - (expected[d] as number))).toBeLessThan(1e-9);
      });
    },
  );

  it.each([
    [64, 16],
    [256, 64],
    [512, 128],
    [512, 2],
  ])('sum to one: %i tokens, %i pairs', (tokens, pairs) => {
    const total = queryDistances({ tokens, pairs }).reduce((a, b) => a + b, 0);
    expect(Math.abs(total - 1)).toBeLessThan(1e-9);
  });
});

describe('the ceiling of a sliding window', () => {
  const cases: [pairs: number, one: string, two: string][] = [
    [16, '0.32', '0.59'],
    [32, '0.06', '0.34'],
    [64, '0.00', '0.02'],
  ];

  it.each(cases)(
    'of 32 tokens, and of two of them, at 256 tokens with %i pairs is %s and %s',
    (pairs, one, two) => {
      expect(windowCeiling({ tokens: 256, pairs }, 32).toFixed(2)).toBe(one);
      expect(windowCeiling({ tokens: 256, pairs }, 63).toFixed(2)).toBe(two);
    },
  );

  it.each(cases)('is the share of the queries that the generator puts within it: %i pairs', (pairs) => {
    const batch = mqar({ segments: [{ tokens: 256, pairs }] }).batch(Rng.of(3), {
      index: 0,
      size: 800,
      split: 'test',
    });
    for (const window of [32, 63, 128]) {
      let [seen, all] = [0, 0];
      for (const { inputs, targets } of sequences(batch)) {
        targets.forEach((target, query) => {
          if (target < 0) return;
          all++;
          if (query - inputs.indexOf(inputs[query] as number) <= window) seen++;
        });
      }
      const ceiling = windowCeiling({ tokens: 256, pairs }, window);
      expect(all).toBe(800 * pairs);
      expect(Math.abs(seen / all - ceiling)).toBeLessThan(
        4 * Math.sqrt((ceiling * (1 - ceiling) + 1e-4) / all),
      );
    }
  });

  it('equals what sliding-window attention was measured to reach on the seven published test segments', () => {
    // Zoology's Recall-Memory sweep, digitised to ±0.005, and the small gap that training leaves below the ceiling.
    const measured = [
      [16, 0.146],
      [32, 0.311],
      [64, 0.515],
      [128, 0.656],
      [256, 0.797],
      [512, 0.936],
      [1024, 1],
    ] as const;
    const distances = (
      [
        [64, 4],
        [64, 8],
        [64, 16],
        [128, 32],
        [256, 64],
        [512, 128],
        [1024, 256],
      ] as const
    ).map(([tokens, pairs]) => queryDistances({ tokens, pairs }));
    for (const [window, accuracy] of measured) {
      const within = distances.map((d) => d.subarray(0, window + 1).reduce((a, b) => a + b, 0));
      expect(Math.abs(within.reduce((a, b) => a + b, 0) / 7 - accuracy)).toBeLessThan(0.005);
    }
  });

  it('refuses a window of nothing and sizes that MQAR refuses', () => {
    expect(() => windowCeiling({ tokens: 64, pairs: 4 }, 0)).toThrow(
      'windowCeiling(window): expected an integer of at least 1',
    );
    expect(() => windowCeiling({ tokens: 64, pairs: 32 }, 8)).toThrow('Choose pairs ≤ 16');
  });
});
