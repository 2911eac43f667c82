import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import {
  IGNORE,
  mqar,
  needle,
  queryDistances,
  seenShare,
  sourceCeiling,
  taskCeiling,
  taskOf,
  taskTypes,
  windowCeiling,
  type TaskSpec,
} from '../src/index.ts';
import { sequences } from './sequences.ts';
import { specs, taskNames } from './specs.ts';

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

describe('the formula of how far labels reach back', () => {
  const cases = [
    ...taskNames.filter((type) => taskTypes[type].ceiling === 'formula').map((type): TaskSpec => specs[type]),
    { type: 'forgetting_mqar', vocabSize: 64, segments: [{ tokens: 24, pairs: 3, updates: 0 }] },
    { type: 'forgetting_mqar', vocabSize: 64, segments: [{ tokens: 24, pairs: 4, updates: 4 }] },
    { type: 'compositional_mqar', vocabSize: 64, segments: [{ tokens: 50, pairs: 4 }], exponent: 1 },
    { type: 'selective_copying', context: 9, copies: 9 },
    { type: 'mad_selective_copying', tokens: 9, copies: 4, examples: 5000 },
    { type: 'phone_book', segments: [{ entries: 1 }] },
  ] as const satisfies readonly TaskSpec[];

  it.each(cases.map((spec) => ({ name: JSON.stringify(spec), spec })))(
    'is counted, too: $name',
    ({ spec }) => {
      const sized = spec.type.startsWith('mad_') ? { ...spec, examples: 5000 } : spec;
      const task = taskOf(sized as TaskSpec);
      for (const source of task.sources.train) {
        const reaches = source.reaches?.() as Float64Array;
        expect(Math.abs(reaches.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-9);
        const batch = task.batch(Rng.of(12), { index: 0, size: 5000, split: 'train' });
        for (let window = 1; window <= source.tokens; window++) {
          const expected = reaches.subarray(0, window + 1).reduce((a, b) => a + b, 0);
          // Of each sequence, for a standard error that knows of the dependence between its labels.
          const shares = Array.from({ length: batch.size }, (_, row) =>
            seenShare({ reach: batch.reach.subarray(row * batch.tokens, (row + 1) * batch.tokens) }, window),
          );
          const mean = shares.reduce((a, b) => a + b, 0) / shares.length;
          const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
          expect(Math.abs(mean - expected)).toBeLessThan(4.5 * Math.sqrt((variance + 1e-5) / shares.length));
        }
      }
    },
  );

  it('is that of every choice of places in selective copying', () => {
    const [context, copies] = [7, 3];
    const counts = new Float64Array(context + copies + 1);
    let sets = 0;
    for (let bits = 0; bits < 2 ** context; bits++) {
      const places = Array.from({ length: context }, (_, p) => p).filter((p) => (bits >> p) & 1);
      if (places.length !== copies) continue;
      sets++;
      places.forEach((place, j) => (counts[context + j - place + 1]! += 1 / copies));
    }
    const task = taskOf({ type: 'selective_copying', context, copies });
    task.sources.test[0]?.reaches?.().forEach((probability, r) => {
      expect(Math.abs(probability - (counts[r] as number) / sets)).toBeLessThan(1e-12);
    });
  });

  it('is that of every choice of blanks in the selective copying of MAD', () => {
    const [tokens, copies, blanks] = [12, 3, 5];
    const counts = new Float64Array(tokens + 1);
    for (let choice = 0; choice < copies ** blanks; choice++) {
      const gaps = Array.from({ length: blanks }, (_, b) => Math.floor(choice / copies ** b) % copies);
      for (let j = 0; j < copies; j++) {
        const place = j + gaps.filter((gap) => gap <= j).length;
        counts[tokens - copies + j - place + 1]! += 1 / copies / copies ** blanks;
      }
    }
    const task = taskOf({ type: 'mad_selective_copying', tokens, copies });
    task.sources.test[0]?.reaches?.().forEach((probability, r) => {
      expect(Math.abs(probability - (counts[r] as number))).toBeLessThan(1e-12);
    });
  });
});

describe('the ceiling of a task', () => {
  it('is what can be seen, and guesses at the rest', () => {
    const segment = { tokens: 64, pairs: 8 };
    const task = mqar({ vocabSize: 128, segments: [segment] });
    const seen = windowCeiling(segment, 20);
    expect(taskCeiling(task, 20)).toBeCloseTo(seen + (1 - seen) / (64 - 7), 12);
    expect(taskCeiling(task, 64)).toBeCloseTo(1, 8);
  });

  it('is the mean over the examples of all sources', () => {
    const lone = (tokens: number, pairs: number) =>
      taskCeiling(mqar({ vocabSize: 128, segments: [{ tokens, pairs }] }), 16) as number;
    const mixed = mqar({
      vocabSize: 128,
      segments: [
        { tokens: 32, pairs: 2, weight: 3 },
        { tokens: 64, pairs: 8 },
      ],
    });
    expect(taskCeiling(mixed, 16)).toBeCloseTo((3 * lone(32, 2) + lone(64, 8)) / 4, 12);
  });

  it('steps from a guess to certainty where a needle comes into sight', () => {
    const [source] = needle({ vocabSize: 30, tokens: 64, testDistances: [17] }).sources.test;
    expect([16, 17].map((window) => sourceCeiling(source as never, window))).toEqual([1 / 10, 1]);
  });

  it('is not known where there is no formula', () => {
    expect(taskCeiling(taskOf({ type: 'mad_fuzzy_recall' }), 8)).toBeUndefined();
    expect(taskCeiling(taskOf({ type: 'mad_memorization' }), 8)).toBeUndefined();
  });

  it('can be counted then', () => {
    const task = taskOf({ type: 'mad_in_context_recall', vocabSize: 8, tokens: 24 });
    const batch = task.batch(Rng.of(3), { index: 0, size: 100, split: 'test' });
    let [seen, all] = [0, 0];
    for (const { inputs, targets } of sequences(batch)) {
      targets.forEach((target, t) => {
        if (target === IGNORE) return;
        all++;
        const before = inputs.slice(0, t).map((token, at) => (at % 2 === 0 ? token : -1));
        if (t - before.lastIndexOf(inputs[t] as number) <= 6) seen++;
      });
    }
    expect(seenShare(batch, 6)).toBe(seen / all);
    expect(seenShare(batch, 24)).toBe(1);
  });

  it.each([
    taskCeiling,
    (task: ReturnType<typeof needle>) =>
      seenShare(task.batch(Rng.of(1), { index: 0, size: 1, split: 'test' }), 0),
  ])('refuses a window of nothing', (ceiling) => {
    expect(() => ceiling(needle(), 0)).toThrow('(window): expected an integer of at least 1');
  });
});
