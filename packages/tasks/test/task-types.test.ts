import { readFileSync } from 'node:fs';
import { MnemixError, Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { checkBatch, IGNORE, taskOf, taskTypes, type Task, type TaskSpec } from '../src/index.ts';
import { sequences } from './sequences.ts';
import { specs, taskNames } from './specs.ts';

const rng = Rng.of(4);
const splits = ['train', 'test'] as const;

/** A pass over the sources of a split, or some batches of an endless one. */
const batchesOf = (task: Task, split: 'train' | 'test', key = rng) =>
  Array.from({ length: Math.min(task.batchesPerEpoch(16, split), 12) }, (_, index) =>
    task.batch(key, { index, size: 16, split }),
  );

describe.each(taskNames)('a task of type %s', (type) => {
  const task = taskOf(specs[type]);

  it('is named after its type, and its configuration describes it again', () => {
    expect(task.name).toBe(type);
    const again = taskOf({ type, ...(JSON.parse(JSON.stringify(task.config)) as object) } as TaskSpec);
    expect(again.config).toEqual(task.config);
    for (const split of splits) expect(batchesOf(again, split)).toEqual(batchesOf(task, split));
  });

  it('can be made of its defaults alone, unless it needs segments', () => {
    if (type.endsWith('mqar')) return;
    const { tokens, vocabSize } = taskOf({ type } as TaskSpec);
    expect(tokens).toBeGreaterThan(0);
    expect(vocabSize).toBeGreaterThan(0);
  });

  it('has inputs and targets within its vocabulary, and labels in every sequence', () => {
    for (const split of splits) {
      for (const batch of batchesOf(task, split)) {
        checkBatch(batch, task.vocabSize);
        for (const { targets } of sequences(batch)) {
          expect(targets.some((target) => target !== IGNORE)).toBe(true);
        }
      }
    }
  });

  it('is reproduced by the seed, and changes with it', () => {
    for (const split of splits) {
      expect(batchesOf(task, split)).toEqual(batchesOf(taskOf(specs[type]), split, Rng.of(4)));
      expect(batchesOf(task, split)[0]?.inputs).not.toEqual(batchesOf(task, split, Rng.of(5))[0]?.inputs);
    }
  });

  it('shares no sequence between training and test', () => {
    const seen = (split: 'train' | 'test') =>
      new Set(batchesOf(task, split).flatMap((batch) => sequences(batch).map(({ inputs }) => inputs.join())));
    const trained = seen('train');
    expect([...seen('test')].filter((sequence) => trained.has(sequence))).toEqual([]);
  });

  it('says where the answer to a label stands: the same token, that many tokens back', () => {
    let reaching = 0;
    for (const split of splits) {
      for (const { inputs, targets, reach, tokens } of batchesOf(task, split)) {
        reach.forEach((r, at) => {
          if (r === 0) return;
          reaching++;
          expect(r).toBeGreaterThan(1);
          expect(r).toBeLessThanOrEqual((at % tokens) + 1);
          expect(inputs[at - r + 1]).toBe(targets[at]);
        });
        if (split === 'test' && taskTypes[type].ceiling !== 'none') {
          expect(Array.from(reach, (r) => r > 0)).toEqual(Array.from(targets, (target) => target !== IGNORE));
        }
      }
    }
    expect(reaching > 0).toBe(taskTypes[type].ceiling !== 'none');
  });

  it('has a formula for its ceiling where the table says so', () => {
    const known = splits.map((split) => task.sources[split].every(({ reaches }) => reaches !== undefined));
    expect(known).toEqual(Array(2).fill(taskTypes[type].ceiling === 'formula'));
  });

  it('refuses an option that it does not have', () => {
    const spec = { ...specs[type], colour: 1 } as object as TaskSpec;
    expect(() => taskOf(spec)).toThrow(`${type}: colour: unknown key.`);
  });
});

it.each<[where: string, spec: object]>([
  ['task: type', { type: 'mqar2' }],
  ['task: type', { type: 'toString' }],
  ['task: type', {}],
  ['mqar: segments', { type: 'mqar' }],
  [
    'forgetting_mqar: segments[0].updates',
    { ...specs.forgetting_mqar, segments: [{ tokens: 32, pairs: 3 }] },
  ],
  ['forgetting_mqar: segments[0].pairs', { ...specs.forgetting_mqar, segments: [{ tokens: 20, pairs: 4 }] }],
  ['forgetting_mqar: segments[0].tokens', { ...specs.forgetting_mqar, segments: [{ tokens: 41, pairs: 4 }] }],
  [
    'compositional_mqar: segments[0].pairs',
    { ...specs.compositional_mqar, segments: [{ tokens: 64, pairs: 5 }] },
  ],
  [
    'compositional_mqar: segments[0].pairs',
    { ...specs.compositional_mqar, segments: [{ tokens: 53, pairs: 9 }] },
  ],
  ['phone_book: segments[0].queries', { type: 'phone_book', segments: [{ entries: 2, queries: 3 }] }],
  ['phone_book: segments[0].entries', { ...specs.phone_book, segments: [{ entries: 65 }] }],
  ['phone_book: testSegments', { type: 'phone_book', testSegments: 3 }],
  ['phone_book: nameTokens', { type: 'phone_book', nameTokens: 7 }],
  ['phone_book: digits', { type: 'phone_book', digits: 0 }],
  ['needle: testDistances', { type: 'needle', tokens: 32, testDistances: [32] }],
  ['needle: testDistances[1]', { type: 'needle', testDistances: [2, 1] }],
  ['needle: vocabSize', { type: 'needle', vocabSize: 5 }],
  ['needle: fill', { type: 'needle', fill: 'hay' }],
  ['induction_heads: testTokens', { type: 'induction_heads', testTokens: [] }],
  ['induction_heads: tokens', { type: 'induction_heads', tokens: 2 }],
  ['selective_copying: copies', { type: 'selective_copying', context: 16, copies: 17 }],
  ['mad_in_context_recall: tokens', { type: 'mad_in_context_recall', tokens: 31 }],
  ['mad_in_context_recall: examples', { type: 'mad_in_context_recall', examples: 0 }],
  ['mad_noisy_recall: noise', { type: 'mad_noisy_recall', noise: 1 }],
  ['mad_noisy_recall: vocabSize', { type: 'mad_noisy_recall', vocabSize: 17 }],
  ['mad_fuzzy_recall: vocabSize', { type: 'mad_fuzzy_recall', vocabSize: 6 }],
  ['mad_fuzzy_recall: tokens', { type: 'mad_fuzzy_recall', tokens: 17 }],
  ['mad_selective_copying: copies', { type: 'mad_selective_copying', tokens: 32, copies: 16 }],
  ['mad_compression: tokens', { type: 'mad_compression', tokens: 1 }],
  ['mad_memorization: tokens', { type: 'mad_memorization', tokens: 5 }],
])('refuses a specification, naming %s', (where, spec) => {
  let error: unknown;
  try {
    taskOf(spec as TaskSpec);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(MnemixError);
  expect(error).toMatchObject({ code: 'config', where });
});

it('is checked by the compiler, too', () => {
  // @ts-expect-error: another task's option
  const strange: TaskSpec = { type: 'needle', segments: [{ tokens: 16, pairs: 2 }] };
  // @ts-expect-error: no such type
  const unknown: TaskSpec = { type: 'mqar2', segments: [{ tokens: 16, pairs: 2 }] };
  for (const spec of [strange, unknown]) expect(() => taskOf(spec)).toThrow(MnemixError);
});

it('has a row of the README for every type', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  for (const [type, { rule, source }] of Object.entries(taskTypes)) {
    const row = readme.split('\n').find((line) => line.startsWith(`| \`${type}\` `));
    expect(row, type).toContain(` ${rule} `);
    expect(row, type).toContain(` ${source} `);
  }
});
