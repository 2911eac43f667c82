import { readFileSync } from 'node:fs';
import { MnemixError, Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { IGNORE, mqar, type MqarConfig } from '../src/index.ts';
import { sequences } from './sequences.ts';
import { surprise, uniform } from './statistics.ts';

const draw = (config: MqarConfig, size: number, index = 0) =>
  mqar(config).batch(Rng.of(11), { index, size, split: 'train' });

const shapes = [
  { tokens: 4, pairs: 1, vocabSize: 5 },
  { tokens: 12, pairs: 3, vocabSize: 13 },
  { tokens: 64, pairs: 4, vocabSize: 8192 },
  { tokens: 64, pairs: 16, vocabSize: 65 },
  { tokens: 130, pairs: 7, vocabSize: 131 },
];

describe.each(['random', 'blank'] as const)('MQAR with %s fill', (fill) => {
  it.each(shapes)(
    'recalls each pair once, from its context: $tokens tokens, $pairs pairs',
    ({ tokens, pairs, vocabSize }) => {
      for (const { inputs, targets } of sequences(
        draw({ vocabSize, segments: [{ tokens, pairs }], fill }, 40),
      )) {
        const context = inputs.slice(0, 2 * pairs);
        const labelled = targets.flatMap((target, t) => (target === IGNORE ? [] : [t]));
        expect(labelled).toHaveLength(pairs);
        for (const t of labelled) {
          expect(t).toBeGreaterThanOrEqual(2 * pairs);
          expect(t % 2).toBe(0);
          const at = context.indexOf(inputs[t] as number);
          expect(at % 2).toBe(0);
          expect(context[at + 1]).toBe(targets[t]);
        }
        expect(new Set(labelled.map((t) => targets[t])).size).toBe(pairs);
      }
    },
  );

  it.each(shapes)(
    'takes distinct keys and values from their halves: vocabulary $vocabSize',
    ({ tokens, pairs, vocabSize }) => {
      const half = Math.floor(vocabSize / 2);
      for (const { inputs } of sequences(draw({ vocabSize, segments: [{ tokens, pairs }], fill }, 40))) {
        const context = inputs.slice(0, 2 * pairs);
        expect(new Set(context).size).toBe(2 * pairs);
        context.forEach((token, t) => {
          expect(token).toBeGreaterThanOrEqual(t % 2 === 0 ? 1 : half);
          expect(token).toBeLessThan(t % 2 === 0 ? half : vocabSize);
        });
      }
    },
  );
});

describe('the distribution of MQAR', () => {
  const segments = [{ tokens: 12, pairs: 2 }];

  it('draws every key and every value equally often', () => {
    const keys = new Uint32Array(9);
    const values = new Uint32Array(10);
    for (const { inputs } of sequences(draw({ vocabSize: 20, segments }, 20_000))) {
      for (const t of [0, 2]) keys[(inputs[t] as number) - 1]! += 1;
      for (const t of [1, 3]) values[(inputs[t] as number) - 10]! += 1;
    }
    expect(surprise(keys, uniform(9))).toBeLessThan(4);
    expect(surprise(values, uniform(10))).toBeLessThan(4);
  });

  it('places queries like sequential draws without replacement, weighted (g+1)^(a−1)', () => {
    const slots = 4;
    const weights = Array.from({ length: slots }, (_, g) => (g + 1) ** (0.01 - 1));
    const total = weights.reduce((a, b) => a + b, 0);
    const counts = new Float64Array(slots * slots);
    for (const { inputs } of sequences(draw({ vocabSize: 20, segments, fill: 'blank' }, 40_000))) {
      const [first, second] = [inputs[0], inputs[2]].map((key) => (inputs.indexOf(key as number, 4) - 4) / 2);
      counts[(first as number) * slots + (second as number)]! += 1;
    }
    const ordered = weights.flatMap((first, i) =>
      weights.map((second, j) => (i === j ? 0 : (first / total) * (second / (total - first)))),
    );
    const possible = ordered.flatMap((probability, i) => (probability > 0 ? [i] : []));
    expect(
      surprise(
        possible.map((i) => counts[i] as number),
        possible.map((i) => ordered[i] as number),
      ),
    ).toBeLessThan(4);
    expect(possible.reduce((sum, i) => sum + (counts[i] as number), 0)).toBe(40_000);
  });

  it('fills with uniform tokens of the whole vocabulary, or with 0', () => {
    const random = new Float64Array(20);
    for (const { inputs, targets } of sequences(draw({ vocabSize: 20, segments }, 20_000))) {
      inputs.forEach((token, t) => {
        if (t >= 4 && targets[t] === IGNORE) random[token]! += 1;
      });
    }
    expect(surprise(random, uniform(20))).toBeLessThan(4);
    for (const { inputs, targets } of sequences(draw({ vocabSize: 20, segments, fill: 'blank' }, 100))) {
      expect(inputs.every((token, t) => t < 4 || targets[t] !== IGNORE || token === 0)).toBe(true);
    }
  });
});

it('gives the committed first batch', () => {
  const golden = JSON.parse(readFileSync(new URL('fixtures/mqar-first-batch.json', import.meta.url), 'utf8'));
  const { inputs, targets } = mqar(golden.config).batch(Rng.of(golden.seed), golden.request);
  expect(Array.from(inputs)).toEqual(golden.inputs);
  expect(Array.from(targets)).toEqual(golden.targets);
});

it.each<[key: string, fix: string, config: object]>([
  ['mqar: segments[0].pairs', 'Choose pairs ≤ 16 or tokens ≥ 68.', { segments: [{ tokens: 64, pairs: 17 }] }],
  [
    'mqar: segments[1].tokens',
    'Choose 64.',
    {
      segments: [
        { tokens: 64, pairs: 4 },
        { tokens: 63, pairs: 4 },
      ],
    },
  ],
  [
    'mqar: vocabSize',
    'Choose vocabSize ≥ 65, or shorter sequences.',
    { vocabSize: 64, segments: [{ tokens: 64, pairs: 4 }] },
  ],
  [
    'mqar: testSegments[0].pairs',
    'Choose an integer ≥ 1.',
    { segments: [{ tokens: 64, pairs: 4 }], testSegments: [{ tokens: 64, pairs: 0 }] },
  ],
  ['mqar: segments[0].pairs', 'Choose an integer ≥ 1.', { segments: [{ tokens: 64, pairs: 2.5 }] }],
  [
    'mqar: segments[0].length',
    'Use one of tokens, pairs, weight, examples.',
    { segments: [{ length: 64, pairs: 4 }] },
  ],
  [
    'mqar: vocab',
    'Use one of vocabSize, segments, testSegments, fill, exponent.',
    { vocab: 64, segments: [{ tokens: 64, pairs: 4 }] },
  ],
  ['mqar: fill', "Choose 'random' or 'blank'.", { fill: 'zeros', segments: [{ tokens: 64, pairs: 4 }] }],
  ['mqar: segments', 'Pass e.g. [{ tokens: 64, pairs: 4 }].', {}],
])('refuses impossible settings, naming %s and the fix: %s', (where, fix, config) => {
  let error: unknown;
  try {
    mqar(config as MqarConfig);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(MnemixError);
  expect(error).toMatchObject({ code: 'config', where, fix });
});
