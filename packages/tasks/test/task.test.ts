import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { checkBatch, defineTask, IGNORE, mqar, type Batch, type ExampleSource } from '../src/index.ts';
import { sequences } from './sequences.ts';

const rng = Rng.of(5);
const task = mqar({ vocabSize: 128, segments: [{ tokens: 32, pairs: 4 }] });

describe('a batch', () => {
  it('is a function of the key, its number, its size and the split alone', () => {
    task.batch(rng, { index: 3, size: 8, split: 'train' });
    const request = { index: 9, size: 8, split: 'train' } as const;
    expect(task.batch(rng, request)).toEqual(task.batch(Rng.fromJSON(rng.toJSON()), request));
    expect(task.batch(rng, request).inputs).not.toEqual(task.batch(rng, { ...request, index: 10 }).inputs);
    expect(task.batch(rng, request).inputs).not.toEqual(task.batch(Rng.of(6), request).inputs);
  });

  it('holds the same examples, whatever the batch size', () => {
    const [first, second, both] = [
      [0, 4],
      [1, 4],
      [0, 8],
    ].map(([index, size]) =>
      sequences(task.batch(rng, { index: index as number, size: size as number, split: 'train' })),
    );
    expect([...(first ?? []), ...(second ?? [])]).toEqual(both);
  });

  it('shares no sequence between training and test, or between batches', () => {
    const seen = (split: 'train' | 'test') =>
      Array.from({ length: 30 }, (_, index) => task.batch(rng, { index, size: 64, split })).flatMap((batch) =>
        sequences(batch).map(({ inputs }) => inputs.join()),
      );
    const all = [...seen('train'), ...seen('test')];
    expect(new Set(all).size).toBe(all.length);
  });

  it('has labels and inputs within the vocabulary, and the declared sizes', () => {
    const { inputs, targets, size, tokens, source } = task.batch(rng, { index: 0, size: 8, split: 'test' });
    expect([size, tokens, source]).toEqual([8, 32, 'T32-P4']);
    expect([inputs.length, targets.length]).toEqual([256, 256]);
    expect(inputs.every((token) => token >= 0 && token < task.vocabSize)).toBe(true);
    expect(targets.every((token) => token === IGNORE || (token >= 0 && token < task.vocabSize))).toBe(true);
  });
});

describe('a batch is refused before it becomes tensors', () => {
  const good = (): Batch => task.batch(rng, { index: 0, size: 8, split: 'train' });
  const changed = (name: 'inputs' | 'targets', at: number, id: number): Batch => {
    const batch = good();
    batch[name][at] = id;
    return batch;
  };

  it.each<[where: string, batch: Batch]>([
    ['inputs[sequence 0, position 0]: found -1, expected 0 to 127.', changed('inputs', 0, -1)],
    ['inputs[sequence 2, position 5]: found 128, expected 0 to 127.', changed('inputs', 69, 128)],
    ['inputs[sequence 0, position 1]: found -100, expected', changed('inputs', 1, IGNORE)],
    [
      'targets[sequence 7, position 31]: found 128, expected -100 (no label) or 0 to 127.',
      changed('targets', 255, 128),
    ],
    ['targets[sequence 1, position 0]: found -1, expected', changed('targets', 32, -1)],
    [
      'targets: expected 8 sequences of 32 tokens, found 9 entries.',
      { ...good(), targets: new Int32Array(9) },
    ],
  ])('%s', (message, batch) => {
    expect(() => checkBatch(batch, task.vocabSize)).toThrow(`batch of T32-P4: ${message}`);
  });

  it('unless it is good', () => {
    expect(() => checkBatch(good(), task.vocabSize)).not.toThrow();
  });
});

describe('a mixture', () => {
  const segments = [
    { tokens: 32, pairs: 4, weight: 3 },
    { tokens: 64, pairs: 8 },
  ];
  const mixture = mqar({ vocabSize: 128, segments });

  it('draws its segments by weight', () => {
    const short = Array.from({ length: 4000 }, (_, index) =>
      mixture.batch(rng, { index, size: 1, split: 'train' }),
    ).filter(({ tokens }) => tokens === 32).length;
    expect(Math.abs(short / 4000 - 0.75)).toBeLessThan(4 * Math.sqrt((0.75 * 0.25) / 4000));
    expect(mixture.tokens).toBe(64);
    expect(mixture.batchesPerEpoch(8, 'train')).toBe(Infinity);
  });

  it('gives each segment the examples that it would have alone', () => {
    const index = Array.from({ length: 20 }, (_, i) => i).find(
      (i) => mixture.batch(rng, { index: i, size: 2, split: 'train' }).tokens === 32,
    ) as number;
    expect(mixture.batch(rng, { index, size: 2, split: 'train' })).toEqual(
      task.batch(rng, { index, size: 2, split: 'train' }),
    );
  });
});

describe('fixed data sets', () => {
  const curriculum = mqar({
    segments: [
      [64, 4, 100_000],
      [128, 8, 20_000],
      [256, 16, 20_000],
      [256, 32, 20_000],
      [256, 64, 20_000],
    ].map(([tokens, pairs, examples]) => ({
      tokens: tokens as number,
      pairs: pairs as number,
      examples: examples as number,
    })),
  });

  it('are passed through in order: the published curriculum takes 707 batches of 256', () => {
    expect(curriculum.batchesPerEpoch(256, 'train')).toBe(707);
    const lookAt = (index: number) => {
      const { source, size } = curriculum.batch(rng, { index, size: 256, split: 'train' });
      return [source, size];
    };
    expect(lookAt(0)).toEqual(['T64-P4', 256]);
    expect(lookAt(390)).toEqual(['T64-P4', 100_000 - 390 * 256]);
    expect(lookAt(391)).toEqual(['T128-P8', 256]);
    expect(lookAt(706)).toEqual(['T256-P64', 20_000 - 78 * 256]);
  });

  it('repeat in every epoch', () => {
    const small = mqar({ vocabSize: 64, segments: [{ tokens: 16, pairs: 2, examples: 10 }] });
    const epoch = (number: number): Batch[] =>
      [0, 1, 2].map((i) => small.batch(rng, { index: 3 * number + i, size: 4, split: 'train' }));
    expect(epoch(0).map(({ size }) => size)).toEqual([4, 4, 2]);
    expect(epoch(5)).toEqual(epoch(0));
    const distinct = epoch(0).flatMap((batch) => sequences(batch).map(({ inputs }) => inputs.join()));
    expect(new Set(distinct).size).toBe(10);
  });
});

describe('a task refuses', () => {
  const source: ExampleSource = { name: 'a', tokens: 2, write: () => {} };
  const define =
    (...train: ExampleSource[]) =>
    () =>
      defineTask({ name: 'toy', config: {}, vocabSize: 2, train, test: [source] });

  it.each<[string, ExampleSource[]]>([
    ['toy (train): there is nothing to draw examples from.', []],
    ['toy (train): a is listed twice.', [source, source]],
    ['toy (train) a: weight: expected a positive number, found 0.', [{ ...source, weight: 0 }]],
    ['toy (train) a: examples: expected an integer of at least 1, found 0.', [{ ...source, examples: 0 }]],
    [
      'toy (train) a: weight: a fixed data set has a size, not a weight.',
      [{ ...source, weight: 1, examples: 1 }],
    ],
    [
      'toy (train): 1 of 2 entries are fixed data sets, the others endless.',
      [source, { ...source, name: 'b', examples: 4 }],
    ],
  ])('%s', (message, sources) => {
    expect(define(...sources)).toThrow(message);
  });

  it('batches of no sequences and negative batch numbers', () => {
    expect(() => task.batch(rng, { index: 0, size: 0, split: 'train' })).toThrow('mqar.batch(size)');
    expect(() => task.batch(rng, { index: -1, size: 1, split: 'train' })).toThrow('mqar.batch(index)');
  });
});
