import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { compositionalMqar, forgettingMqar, IGNORE, phoneBook } from '../src/index.ts';
import { sequences } from './sequences.ts';
import { surprise, uniform } from './statistics.ts';

const rng = Rng.of(8);
const labelsOf = (targets: readonly number[]) =>
  targets.flatMap((target, t) => (target === IGNORE ? [] : [t]));

describe.each(['random', 'blank'] as const)('MQAR whose pairs change, with %s fill', (fill) => {
  it.each([
    { tokens: 32, pairs: 4, updates: 2, vocabSize: 33 },
    { tokens: 20, pairs: 3, updates: 3, vocabSize: 24 },
    { tokens: 24, pairs: 3, updates: 0, vocabSize: 64 },
    { tokens: 64, pairs: 9, updates: undefined, vocabSize: 8192 },
  ])('asks for the latest value of each key: %o', ({ vocabSize, ...segment }) => {
    const { pairs, updates = 4 } = segment;
    const task = forgettingMqar({
      vocabSize,
      segments: [segment as { tokens: number; pairs: number }],
      fill,
    });
    const half = Math.floor(vocabSize / 2);
    for (const { inputs, targets } of sequences(task.batch(rng, { index: 0, size: 40, split: 'train' }))) {
      const context = 2 * (pairs + updates);
      const latest = new Map<number, number>();
      const values = new Set<number>();
      for (let t = 0; t < context; t += 2) {
        const [key, value] = [inputs[t] as number, inputs[t + 1] as number];
        expect(key >= 1 && key < half && value >= half).toBe(true);
        expect(latest.has(key)).toBe(t >= 2 * pairs);
        latest.set(key, value);
        values.add(value);
      }
      expect([latest.size, values.size]).toEqual([pairs, pairs + updates]);
      const labels = labelsOf(targets);
      expect(new Set(labels.map((t) => inputs[t]))).toEqual(new Set(latest.keys()));
      expect(labels).toHaveLength(pairs);
      for (const t of labels) {
        expect(t >= context && t % 2 === 0).toBe(true);
        expect(targets[t]).toBe(latest.get(inputs[t] as number));
      }
    }
  });
});

describe.each(['random', 'blank'] as const)('MQAR with keys of two tokens, with %s fill', (fill) => {
  it.each([
    { tokens: 24, pairs: 4, vocabSize: 25 },
    { tokens: 65, pairs: 9, vocabSize: 96 },
    { tokens: 7, pairs: 1, vocabSize: 8 },
  ])('asks at the second token, and no token alone tells: %o', ({ vocabSize, ...segment }) => {
    const { pairs } = segment;
    const side = Math.sqrt(pairs);
    const task = compositionalMqar({ vocabSize, segments: [segment], fill });
    const third = Math.floor(vocabSize / 3);
    for (const { inputs, targets } of sequences(task.batch(rng, { index: 0, size: 40, split: 'train' }))) {
      const values = new Map<string, number>();
      const keys = [new Map<number, number>(), new Map<number, number>()] as const;
      for (let i = 0; i < pairs; i++) {
        const [a, b, value] = inputs.slice(3 * i, 3 * i + 3) as [number, number, number];
        expect(a >= 1 && a < third && b >= third && b < 2 * third && value >= 2 * third).toBe(true);
        values.set(`${a} ${b}`, value);
        keys[0].set(a, (keys[0].get(a) ?? 0) + 1);
        keys[1].set(b, (keys[1].get(b) ?? 0) + 1);
      }
      expect([values.size, new Set(values.values()).size]).toEqual([pairs, pairs]);
      for (const counts of keys) expect([...counts.values()]).toEqual(Array(side).fill(side));
      const labels = labelsOf(targets);
      expect(new Set(labels.map((t) => targets[t])).size).toBe(pairs);
      for (const t of labels) expect(targets[t]).toBe(values.get(`${inputs[t - 1]} ${inputs[t]}`));
    }
  });

  it('shuffles the grid', () => {
    const task = compositionalMqar({ vocabSize: 96, segments: [{ tokens: 24, pairs: 4 }], fill });
    const counts = new Float64Array(3);
    for (const { inputs } of sequences(task.batch(rng, { index: 0, size: 6000, split: 'train' }))) {
      const sameAsFirst = [1, 2, 3].filter((i) => inputs[3 * i] === inputs[0]);
      counts[(sameAsFirst[0] as number) - 1]! += 1;
    }
    expect(surprise(counts, uniform(3))).toBeLessThan(4);
  });
});

describe('the phone-book', () => {
  const config = { nameTokens: 3, nameSymbols: 4, numberTokens: 5, digits: 6 };
  const task = phoneBook({ ...config, segments: [{ entries: 9, queries: 4 }] });
  const batch = sequences(task.batch(rng, { index: 0, size: 300, split: 'train' }));

  it('has lines of a name, a number and an end, and repeats some, each digit being asked for', () => {
    expect([task.vocabSize, task.tokens]).toEqual([1 + 4 + 6, 13 * 9]);
    for (const { inputs, targets } of batch) {
      const lines = Array.from({ length: 13 }, (_, i) => inputs.slice(9 * i, 9 * i + 9));
      for (const line of lines) {
        line.slice(0, 3).forEach((token) => expect(token >= 1 && token <= 4).toBe(true));
        line.slice(3, 8).forEach((token) => expect(token >= 5 && token <= 10).toBe(true));
        expect(line[8]).toBe(0);
      }
      const book = new Map(lines.slice(0, 9).map((line) => [line.slice(0, 3).join(), line.slice(3, 8)]));
      expect(book.size).toBe(9);
      const asked = lines.slice(9);
      expect(new Set(asked.map((line) => line.join())).size).toBe(4);
      const labels = targets.slice(81).flatMap((target, t) => (t % 9 >= 2 && t % 9 <= 6 ? [target] : []));
      expect(labels).toEqual(asked.flatMap((line) => book.get(line.slice(0, 3).join())));
      expect(labelsOf(targets)).toHaveLength(20);
    }
  });

  it('draws names, numbers and queries uniformly', () => {
    const names = new Float64Array(64);
    const digits = new Float64Array(6);
    const asked = new Float64Array(9);
    for (const { inputs } of batch) {
      for (let i = 0; i < 9; i++) {
        const [a, b, c] = inputs.slice(9 * i, 9 * i + 3) as [number, number, number];
        names[16 * (a - 1) + 4 * (b - 1) + c - 1]! += 1;
        inputs.slice(9 * i + 3, 9 * i + 8).forEach((token) => (digits[token - 5]! += 1));
      }
      const first = inputs.slice(81, 84).join();
      const entry = Array.from({ length: 9 }, (_, i) => i).find(
        (i) => inputs.slice(9 * i, 9 * i + 3).join() === first,
      );
      asked[entry as number]! += 1;
    }
    expect(surprise(names, uniform(64))).toBeLessThan(4);
    expect(surprise(digits, uniform(6))).toBeLessThan(4);
    expect(surprise(asked, uniform(9))).toBeLessThan(4);
  });
});
