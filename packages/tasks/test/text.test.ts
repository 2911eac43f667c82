import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { byteTokenizer, text, type TextConfig } from '../src/index.ts';
import { sequences } from './sequences.ts';

const rng = Rng.of(2);
/** 1,000 characters of which no two windows of three are alike. */
const corpus = Array.from({ length: 1000 }, (_, i) =>
  String.fromCharCode(32 + Math.floor(i / 90) * 3 + ((i % 90) % 60) + (i % 7)),
).join('');

describe('text windows', () => {
  const task = text({ text: corpus, tokens: 16, testFraction: 0.2 });

  it('are contiguous stretches with the next token as the target', () => {
    for (const split of ['train', 'test'] as const) {
      for (const { inputs, targets } of sequences(task.batch(rng, { index: 0, size: 12, split }))) {
        expect(targets.slice(0, -1)).toEqual(inputs.slice(1));
        expect(corpus).toContain(byteTokenizer.decode([...inputs, targets.at(-1) as number]));
      }
    }
  });

  it('are drawn from all of the training part and from nothing else', () => {
    const short = text({ text: '0123456789', tokens: 2, testFraction: 0.5 });
    const windows = sequences(short.batch(rng, { index: 0, size: 200, split: 'train' })).map(
      ({ inputs, targets }) => byteTokenizer.decode([...inputs, targets[1] as number]),
    );
    expect([...new Set(windows)].sort()).toEqual(['012', '123', '234']);
  });

  it('lie end to end in the test part, in order, each seen once in a pass', () => {
    const batches = task.batchesPerEpoch(5, 'test');
    const pass = Array.from({ length: batches }, (_, index) =>
      task.batch(rng, { index, size: 5, split: 'test' }),
    ).flatMap(sequences);
    expect(pass).toHaveLength(Math.floor(199 / 16));
    expect(byteTokenizer.decode(pass.flatMap(({ inputs }) => inputs))).toBe(
      corpus.slice(800, 800 + pass.length * 16),
    );
    expect(task.batch(rng, { index: batches, size: 5, split: 'test' })).toEqual(
      task.batch(rng, { index: 0, size: 5, split: 'test' }),
    );
  });

  it('start anew at every batch number', () => {
    const starts = [0, 1].map((index) => task.batch(rng, { index, size: 4, split: 'train' }).inputs);
    expect(starts[0]).not.toEqual(starts[1]);
    expect(task.batchesPerEpoch(4, 'train')).toBe(Infinity);
  });

  it('count bytes, not characters', () => {
    expect(text({ text: 'é'.repeat(50), tokens: 4 }).config).toMatchObject({
      length: 100,
      tokenizer: 'bytes',
    });
  });
});

it.each<[message: string, config: TextConfig]>([
  ['text: text: the training part is empty.', { text: '', tokens: 4 }],
  [
    'text: text: the test part has 10 tokens, but one window takes 17.',
    { text: corpus.slice(0, 100), tokens: 16 },
  ],
  [
    'text: text: the training part has 8 tokens, but one window takes 9.',
    { text: corpus.slice(0, 80), tokens: 8, testFraction: 0.9 },
  ],
  ['text: tokens: expected an integer of at least 1, found 0.', { text: corpus, tokens: 0 }],
  [
    'text: testFraction: expected a share between 0 and 1, found 1.',
    { text: corpus, tokens: 4, testFraction: 1 },
  ],
  ['text: window: unknown key.', { text: corpus, tokens: 4, window: 4 } as TextConfig],
])('refuses with "%s"', (message, config) => {
  expect(() => text(config)).toThrow(message);
});
