import { cells } from '@mnemix/cells';
import { describe, expect, it } from 'vitest';
import { jobsOf } from '../src/sweep/expand.ts';
import { UsageError, type Fault } from '../src/sweep/faults.ts';
import { keyOf } from '../src/sweep/key.ts';
import { tinySweep } from './tiny-sweep.ts';

const faultsOf = (raw: unknown): readonly Fault[] => {
  try {
    jobsOf(raw);
  } catch (error) {
    if (error instanceof UsageError) return error.faults;
    throw error;
  }
  return [];
};
const placesOf = (raw: unknown): readonly string[] => faultsOf(raw).map(({ where }) => where);

describe('a sweep', () => {
  it('is the product of mixers, sizes, tasks, learning rates and seeds, seed by seed', () => {
    const jobs = jobsOf({
      ...tinySweep,
      mixers: ['gla', 'mom gla'],
      sizes: { small: { width: 4 }, large: { width: 8 } },
      learningRates: [1e-3, 1e-2],
      seeds: [1, 2],
    });
    expect(jobs).toHaveLength(16);
    expect(jobs.map(({ job }) => job.seed)).toEqual([...Array(8).fill(1), ...Array(8).fill(2)]);
    expect(jobs[0]?.job).toMatchObject({ model: 'gla', family: 'gla', size: 'small', setting: 'pairs' });
    expect(jobs[4]?.job.lm).toMatchObject({ vocabSize: 16, mixer: { type: 'mom', memories: 4, topK: 2 } });
  });

  it('names each cell of the catalogue with a star', () => {
    const jobs = jobsOf({ ...tinySweep, mixers: [{ mixer: 'mom *', name: 'mixture of *', family: 'mom' }] });
    expect(jobs.map(({ job }) => job.model)).toEqual(Object.keys(cells).map((cell) => `mixture of ${cell}`));
    expect(new Set(jobs.map(({ job }) => job.family))).toEqual(new Set(['mom']));
  });

  it('puts mixers behind commas into one block after the other', () => {
    const [first] = jobsOf({ ...tinySweep, mixers: ['convolution, bmojo mom delta_net'] });
    expect(first?.job.lm.mixer).toEqual([
      { type: 'convolution' },
      {
        type: 'bmojo',
        heads: 1,
        window: 4,
        fading: expect.objectContaining({
          type: 'mom',
          cell: expect.objectContaining({ type: 'delta_net' }),
        }),
        eidetic: { slots: 2, policy: { type: 'innovation' } },
      },
    ]);
  });

  it('has the same keys whatever the order of what it says, and after a journey as JSON', () => {
    const [one] = jobsOf(tinySweep);
    const { job, key } = one!;
    const turned = Object.fromEntries(Object.entries(JSON.parse(JSON.stringify(job))).reverse());
    expect(keyOf(turned as unknown as typeof job)).toBe(key);
    expect(key).toMatch(/^[0-9a-f]{64}$/);
    expect(keyOf({ ...job, seed: job.seed + 1 })).not.toBe(key);
  });
});

describe('a faulty sweep', () => {
  it('is told all its faults at once: of its form, its mixers, its sizes, its tasks', () => {
    const raw = {
      ...tinySweep,
      sedes: [1],
      mixers: ['gla', 'glad', 'mom', { mixer: 'gla', name: 'other', optoins: {} }],
      sizes: { odd: { width: 7, heads: 2 }, text: { width: 'wide' }, many: { width: 4, topK: 9 } },
      tasks: {
        pairs: tinySweep.tasks.pairs,
        crowded: { train: { type: 'mqar', vocabSize: 16, segments: [{ tokens: 8, pairs: 5 }] } },
        unheard: { train: { type: 'mqra' } },
      },
      training: { steps: 0 },
      learningRates: [-1],
    };
    expect(placesOf(raw)).toEqual(
      expect.arrayContaining([
        'sedes',
        'mixers.3.optoins',
        'sizes.text.width',
        'training.steps',
        'learningRates.0',
        'mixers: glad',
        'mixers: mom',
        'mixers: gla, size odd',
        'tasks.crowded.train',
        'tasks.unheard.train',
      ]),
    );
    for (const { message, fix } of faultsOf(raw))
      expect([message, fix].every((text) => text.endsWith('.'))).toBe(true);
  });

  it('lacks what it cannot do without', () => {
    expect(placesOf({})).toEqual(['mixers', 'sizes', 'tasks']);
    expect(placesOf([])).toEqual(['the sweep']);
    expect(placesOf({ ...tinySweep, seeds: [] })).toEqual(['seeds']);
  });

  it('asks for a size that the mixer needs and nobody says', () => {
    const [fault] = faultsOf({ ...tinySweep, mixers: ['window'], sizes: { '4': { width: 4 } } });
    expect(fault).toMatchObject({ where: 'mixers: window, size 4', fix: 'Add window to it, or to "model".' });
  });

  it('names two models alike', () => {
    expect(
      placesOf({ ...tinySweep, mixers: ['gla', { mixer: 'gla', cellOptions: { convolution: 2 } }] }),
    ).toEqual(['mixers: gla']);
  });

  it('tests on more tokens than the model knows', () => {
    const tests = { wide: { type: 'mqar', vocabSize: 64, segments: [{ tokens: 8, pairs: 2 }] } };
    const tasks = { pairs: { ...tinySweep.tasks.pairs, tests } };
    expect(placesOf({ ...tinySweep, tasks })).toEqual(['tasks.pairs.tests.wide']);
  });

  it('warms up for longer than it trains', () => {
    expect(placesOf({ ...tinySweep, training: { steps: 5, warmupSteps: 5 } })).toEqual([
      'tasks.pairs.training',
    ]);
  });
});
