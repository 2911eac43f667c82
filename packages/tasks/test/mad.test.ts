import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import {
  IGNORE,
  madCompression,
  madFuzzyRecall,
  madInContextRecall,
  madMemorization,
  madNoisyRecall,
  type Task,
} from '../src/index.ts';
import { sequences } from './sequences.ts';
import { surprise, uniform } from './statistics.ts';

const rng = Rng.of(10);
const pass = (task: Task, split: 'train' | 'test') =>
  sequences(task.batch(rng, { index: 0, size: 2000, split }));

describe('in-context recall', () => {
  const task = madInContextRecall({ vocabSize: 8, tokens: 24, examples: 2000, testExamples: 500 });

  it('trains on every next token', () => {
    expect(task.tokens).toBe(23);
    for (const { inputs, targets } of pass(task, 'train'))
      expect(targets.slice(0, -1)).toEqual(inputs.slice(1));
  });

  it('asks in the test for the values of the keys seen before, at their keys, and at the end', () => {
    for (const { inputs, targets } of pass(task, 'test')) {
      const values = new Map<number, number>();
      for (let t = 0; t < 23; t += 2) {
        const key = inputs[t] as number;
        expect(key < 4).toBe(true);
        expect(targets[t]).toBe(values.get(key) ?? IGNORE);
        if (t === 22) continue;
        expect(targets[t + 1]).toBe(IGNORE);
        const value = inputs[t + 1] as number;
        expect(value >= 4 && value < 8).toBe(true);
        expect(values.get(key) ?? value).toBe(value);
        values.set(key, value);
      }
      expect(targets[22]).toBeGreaterThanOrEqual(4);
    }
  });

  it('draws keys and their values uniformly', () => {
    const keys = new Float64Array(4);
    const values = new Float64Array(4);
    for (const { inputs } of pass(task, 'train')) {
      for (let t = 0; t < 22; t += 2) keys[inputs[t] as number]! += 1;
      values[(inputs[1] as number) - 4]! += 1;
    }
    expect(surprise(keys, uniform(4))).toBeLessThan(4);
    expect(surprise(values, uniform(4))).toBeLessThan(4);
  });
});

describe('noisy in-context recall', () => {
  const task = madNoisyRecall({ tokens: 40, noise: 0.6, examples: 2000, testExamples: 500 });
  const isNoise = (token: number | undefined) => (token as number) >= 16;

  it('is in-context recall once the noise is taken out', () => {
    for (const { inputs, targets } of pass(task, 'test')) {
      const values = new Map<number, number>();
      for (let t = 0; t < 39; t += 2) {
        const [key, value] = [inputs[t] as number, inputs[t + 1]];
        if (isNoise(key)) {
          expect(isNoise(value)).toBe(true);
          expect(targets.slice(t, t + 2)).toEqual([IGNORE, IGNORE]);
          continue;
        }
        expect(key < 8).toBe(true);
        expect(targets[t]).toBe(values.get(key) ?? IGNORE);
        if (value !== undefined) values.set(key, value);
      }
      expect(targets[38]).not.toBe(IGNORE);
    }
  });

  it('has two noise tokens in the place of a pair as often as asked, but for the one that is kept', () => {
    let noisy = 0;
    const noise = new Float64Array(16);
    const batch = pass(task, 'train');
    for (const { inputs } of batch) {
      for (let t = 0; t < 38; t += 2) noisy += isNoise(inputs[t]) ? 1 : 0;
      inputs.forEach((token) => (noise[token - 16]! += isNoise(token) ? 1 : 0));
    }
    const places = batch.length * 18;
    expect(Math.abs(noisy / places - 0.6)).toBeLessThan(4 * Math.sqrt((0.6 * 0.4) / places));
    expect(surprise(noise, uniform(16))).toBeLessThan(4);
  });

  it('always has a pair to recall, even where nearly all is noise', () => {
    const drowned = madNoisyRecall({ tokens: 8, noise: 0.999, examples: 1, testExamples: 500 });
    for (const { inputs, targets } of pass(drowned, 'test')) {
      expect(inputs.slice(0, 6).some((token) => !isNoise(token))).toBe(true);
      expect(targets[6]).not.toBe(IGNORE);
    }
  });
});

describe('fuzzy in-context recall', () => {
  const task = madFuzzyRecall({ tokens: 64, examples: 2000, testExamples: 500 });
  const padding = 15;

  /** Keys and values, each a run of tokens of its half: since keys and values take turns, runs are motifs. */
  const motifsOf = (tokens: readonly number[]) => {
    const motifs: { isKey: boolean; at: number; tokens: number[] }[] = [];
    tokens.forEach((token, at) => {
      if (token === padding) return;
      const isKey = token < 7;
      if (motifs.at(-1)?.isKey !== isKey) motifs.push({ isKey, at, tokens: [] });
      motifs.at(-1)?.tokens.push(token);
    });
    return motifs;
  };

  it('trains on every next token, after padding on the left alone', () => {
    for (const { inputs, targets } of pass(task, 'train')) {
      expect(targets.slice(0, -1)).toEqual(inputs.slice(1));
      const pads = inputs.findIndex((token) => token !== padding);
      expect(pads >= 1 && pads < 12).toBe(true);
      expect(inputs.slice(pads)).not.toContain(padding);
    }
  });

  it('has motifs of one to three distinct tokens, and keys of three in the test', () => {
    for (const split of ['train', 'test'] as const) {
      const lengths = new Float64Array(3);
      for (const { inputs } of pass(task, split)) {
        for (const { isKey, tokens } of motifsOf(inputs)) {
          expect(new Set(tokens).size).toBe(tokens.length);
          if (split === 'test' && isKey) expect(tokens).toHaveLength(3);
          expect(tokens.length <= 3).toBe(true);
        }
        // The second pair: the first and the last are often the probe.
        lengths[(motifsOf(inputs)[2]?.tokens.length as number) - 1]! += 1;
      }
      if (split === 'train')
        lengths.forEach((count) => expect(Math.abs(count / 2000 - 1 / 3)).toBeLessThan(0.06));
    }
  });

  it('asks in the test for the values of the keys seen before, each token at the one before it, and at the end', () => {
    const whole = (inputs: number[], targets: number[]) => [...inputs, targets.at(-1) as number];
    for (const { inputs, targets } of pass(task, 'test')) {
      const expected = Array<number>(64).fill(IGNORE);
      const values = new Map<string, string>();
      const motifs = motifsOf(whole(inputs, targets));
      motifs.forEach(({ isKey, tokens }, i) => {
        const value = motifs[i + 1];
        if (!isKey || value === undefined) return;
        const known = values.get(tokens.join());
        expect(known ?? value.tokens.join()).toBe(value.tokens.join());
        values.set(tokens.join(), value.tokens.join());
        if (known !== undefined) value.tokens.forEach((token, j) => (expected[value.at + j - 1] = token));
      });
      expect(targets).toEqual(expected);
      expect(targets[63]).not.toBe(IGNORE);
    }
  });

  it('has its probe in the stream even where the sequence is as short as can be', () => {
    const short = madFuzzyRecall({ tokens: 18, examples: 1, testExamples: 500 });
    for (const { targets } of pass(short, 'test')) expect(targets[17]).not.toBe(IGNORE);
  });
});

describe('compression', () => {
  it('asks for all tokens, behind which stands the compression token', () => {
    const counts = new Float64Array(7);
    for (const { inputs, targets } of pass(
      madCompression({ vocabSize: 8, tokens: 10, examples: 2000 }),
      'train',
    )) {
      expect(targets).toEqual(inputs);
      expect(inputs.indexOf(7)).toBe(9);
      inputs.slice(0, -1).forEach((token) => (counts[token]! += 1));
    }
    expect(surprise(counts, uniform(7))).toBeLessThan(4);
  });
});

describe('memorization', () => {
  const mapOf = (task: Task, split: 'train' | 'test', key = rng) => {
    const map = new Map<number, number>();
    for (const { inputs, targets } of sequences(task.batch(key, { index: 0, size: 500, split }))) {
      inputs.forEach((token, t) => {
        if (t % 2 === 0) {
          expect(token < 15).toBe(true);
          expect(targets[t]).toBe(IGNORE);
          return;
        }
        expect(token).toBe(31);
        const [asked, value] = [inputs[t - 1] as number, targets[t] as number];
        expect(value >= 15 && value < 31).toBe(true);
        expect(map.get(asked) ?? value).toBe(value);
        map.set(asked, value);
      });
    }
    return new Map([...map].sort(([a], [b]) => a - b));
  };

  it('has one map for training, for testing and for every run: no two keys have one value', () => {
    const task = madMemorization({ vocabSize: 32, tokens: 12, examples: 500, testExamples: 500 });
    const map = mapOf(task, 'train');
    expect([map.size, new Set(map.values()).size]).toEqual([15, 15]);
    expect(mapOf(task, 'test')).toEqual(map);
    expect(mapOf(task, 'train', Rng.of(77))).toEqual(map);
    expect(mapOf(madMemorization({ vocabSize: 32, tokens: 12, mapSeed: 2 }), 'train')).not.toEqual(map);
  });

  it('draws its keys uniformly', () => {
    const counts = new Float64Array(15);
    const task = madMemorization({ vocabSize: 32, tokens: 12, examples: 500 });
    for (const { inputs } of sequences(task.batch(rng, { index: 0, size: 500, split: 'train' }))) {
      for (let t = 0; t < 12; t += 2) counts[inputs[t] as number]! += 1;
    }
    expect(surprise(counts, uniform(15))).toBeLessThan(4);
  });
});
