import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { IGNORE, inductionHeads, madSelectiveCopying, needle, selectiveCopying } from '../src/index.ts';
import { sequences } from './sequences.ts';
import { surprise, uniform } from './statistics.ts';

const rng = Rng.of(9);
const firstBatch = (task: ReturnType<typeof needle>, size: number, split: 'train' | 'test' = 'train') =>
  sequences(task.batch(rng, { index: 0, size, split }));

describe('induction heads', () => {
  it('ask once, at the end, for what followed the special token, which stands nowhere else', () => {
    for (const { inputs, targets } of firstBatch(inductionHeads({ vocabSize: 5, tokens: 9 }), 500)) {
      const places = inputs.flatMap((token, t) => (token === 4 ? [t] : []));
      expect(places).toHaveLength(2);
      expect(places[1]).toBe(8);
      expect((places[0] as number) < 7).toBe(true);
      expect(targets).toEqual([...Array(8).fill(IGNORE), inputs[(places[0] as number) + 1]]);
    }
  });

  it('have ordinary tokens and the special place uniformly distributed', () => {
    const tokens = new Float64Array(4);
    const places = new Float64Array(7);
    for (const { inputs } of firstBatch(inductionHeads({ vocabSize: 5, tokens: 9 }), 4000)) {
      inputs.forEach((token) => (tokens[token]! += token < 4 ? 1 : 0));
      places[inputs.indexOf(4)]! += 1;
    }
    expect(surprise(tokens, uniform(4))).toBeLessThan(4);
    expect(surprise(places, uniform(7))).toBeLessThan(4);
  });

  it('are tested far beyond the length of training', () => {
    const task = inductionHeads({ tokens: 256, testTokens: [2 ** 20] });
    expect(task.tokens).toBe(2 ** 20);
    const { inputs, targets, source } = task.batch(rng, { index: 0, size: 1, split: 'test' });
    expect(source).toBe('T1048576');
    expect(targets.at(-1)).toBe(inputs[inputs.indexOf(15) + 1]);
  });
});

describe('a needle', () => {
  it.each(['noise', 'random', 'blank'] as const)('is the only pair with its key, in %s', (fill) => {
    const seen = new Set<number>();
    for (const { inputs, targets } of firstBatch(needle({ vocabSize: 12, tokens: 20, fill }), 400)) {
      const key = inputs[19] as number;
      expect(key >= 1 && key < 4).toBe(true);
      const places = inputs.flatMap((token, t) => (token === key ? [t] : []));
      expect(places).toHaveLength(2);
      const value = inputs[(places[0] as number) + 1] as number;
      expect(value >= 4 && value < 8).toBe(true);
      expect(targets).toEqual([...Array(19).fill(IGNORE), value]);
      inputs.forEach((token, t) => {
        if (token !== key && t !== (places[0] as number) + 1) seen.add(token);
      });
    }
    const expected = { noise: [8, 9, 10, 11], random: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], blank: [0] }[fill];
    expect([...seen].sort((a, b) => a - b)).toEqual(expected);
  });

  it('lies at each of the distances to test at, one source each, and anywhere in training', () => {
    const task = needle({ tokens: 10, testTokens: 300, testDistances: [2, 64, 299] });
    const distances = new Float64Array(8);
    const distanceOf = (inputs: number[]) => inputs.length - 1 - inputs.indexOf(inputs.at(-1) as number);
    for (const { inputs } of firstBatch(task, 4000)) distances[distanceOf(inputs) - 2]! += 1;
    expect(surprise(distances, uniform(8))).toBeLessThan(4);
    const found = new Map<string, number>();
    for (let index = 0; index < 30; index++) {
      const batch = task.batch(rng, { index, size: 2, split: 'test' });
      for (const { inputs } of sequences(batch)) found.set(batch.source, distanceOf(inputs));
    }
    expect(Object.fromEntries(found)).toEqual({ 'T300-D2': 2, 'T300-D64': 64, 'T300-D299': 299 });
  });
});

describe('selective copying', () => {
  it('asks for the data tokens in order, at markers behind the context', () => {
    for (const { inputs, targets } of firstBatch(
      selectiveCopying({ vocabSize: 8, context: 20, copies: 5 }),
      300,
    )) {
      const data = inputs.slice(0, 20).filter((token) => token > 0);
      expect(data).toHaveLength(5);
      expect(data.every((token) => token <= 6)).toBe(true);
      expect(inputs.slice(20)).toEqual(Array(5).fill(7));
      expect(targets).toEqual([...Array(20).fill(IGNORE), ...data]);
    }
  });

  it('scatters them over all sets of places alike', () => {
    const counts = new Map<string, number>();
    for (const { inputs } of firstBatch(selectiveCopying({ context: 5, copies: 2 }), 4000)) {
      const places = inputs.slice(0, 5).flatMap((token, t) => (token > 0 ? [t] : []));
      counts.set(places.join(), (counts.get(places.join()) ?? 0) + 1);
    }
    expect(counts.size).toBe(10);
    expect(surprise([...counts.values()], uniform(10))).toBeLessThan(4);
  });
});

describe('selective copying as in MAD', () => {
  it('asks for the data tokens in order, none of them followed by blanks alone', () => {
    const task = madSelectiveCopying({ vocabSize: 6, tokens: 24, copies: 5, examples: 300 });
    for (const { inputs, targets } of firstBatch(task, 300)) {
      expect(inputs.slice(18)).toEqual([5, 4, 4, 4, 4, 4]);
      const data = inputs.slice(0, 18).filter((token) => token !== 4);
      expect(data).toHaveLength(5);
      expect(data.every((token) => token < 4)).toBe(true);
      expect(inputs[17]).toBe(data[4]);
      expect(targets).toEqual([...Array(19).fill(IGNORE), ...data]);
    }
  });

  it('puts each blank before a uniform data token', () => {
    const task = madSelectiveCopying({ vocabSize: 6, tokens: 7, copies: 2, examples: 4000 });
    const before = new Float64Array(3);
    for (const { inputs } of firstBatch(task, 4000)) {
      before[inputs.findIndex((token) => token < 4)]! += 1;
    }
    // Two blanks, each before the first of two data tokens with probability 1/2.
    expect(surprise(before, [1 / 4, 1 / 2, 1 / 4])).toBeLessThan(4);
  });

  it('is a plain copy where there is no room for blanks', () => {
    const task = madSelectiveCopying({ tokens: 9, copies: 4, examples: 8 });
    for (const { inputs, targets } of firstBatch(task, 8)) {
      expect(targets.slice(5)).toEqual(inputs.slice(0, 4));
    }
  });
});
