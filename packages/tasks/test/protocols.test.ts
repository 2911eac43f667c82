import { describe, expect, it } from 'vitest';
import { macroAccuracy, madProtocol, madSettings, mqarProtocols, taskOf } from '../src/index.ts';

describe('the protocols of MQAR', () => {
  it('train on 707 batches an epoch, easy to hard, and test seven segments alike', () => {
    const { task: spec, training, evaluation } = mqarProtocols.based();
    const task = taskOf(spec);
    expect(task.batchesPerEpoch(training.batch, 'train')).toBe(707);
    expect(task.sources.train.map(({ name }) => name)).toEqual([
      'T64-P4',
      'T128-P8',
      'T256-P16',
      'T256-P32',
      'T256-P64',
    ]);
    expect(task.sources.test.map(({ name, examples }) => [name, examples])).toEqual(
      ['T64-P4', 'T64-P8', 'T64-P16', 'T128-P32', 'T256-P64', 'T512-P128', 'T1024-P256'].map((name) => [
        name,
        1000,
      ]),
    );
    expect(evaluation.batch).toBe(32);
    expect(training.learningRates.map((rate) => rate.toPrecision(4))).toEqual([
      '0.001000',
      '0.003162',
      '0.01000',
      '0.03162',
    ]);
  });

  it.each([
    [64, 4, 512],
    [128, 8, 512],
    [256, 16, 256],
    [512, 64, 128],
  ])('have one setting of %i tokens with %i pairs, in batches of %i', (tokens, pairs, batch) => {
    const { task: spec, training } = mqarProtocols.zoology({ tokens, pairs });
    const task = taskOf(spec);
    expect(task.config).toMatchObject({ vocabSize: 8192, fill: 'blank' });
    expect(task.batchesPerEpoch(training.batch, 'train')).toBe(Math.ceil(100_000 / batch));
    expect(task.batchesPerEpoch(1, 'test')).toBe(3000);
    expect(training).toMatchObject({ batch, epochs: 64, weightDecays: [0.1] });
    expect(training.learningRates.map((rate) => rate.toPrecision(3))).toEqual([
      '0.000100',
      '0.000464',
      '0.00215',
      '0.0100',
    ]);
  });

  it('refuse a length that was not published', () => {
    expect(() => mqarProtocols.zoology({ tokens: 96, pairs: 4 })).toThrow('Use one of 64, 128, 256, 512.');
  });

  it.each(['forgetting', 'compositional'] as const)(
    'have a %s curriculum, tested up to 2048 tokens',
    (variant) => {
      const task = taskOf(mqarProtocols[variant]().task);
      expect(task.batchesPerEpoch(256, 'train')).toBe(707);
      expect(task.sources.test).toHaveLength(7);
      expect(task.tokens).toBe(2048);
    },
  );

  it('are plain data', () => {
    for (const protocol of [
      mqarProtocols.based(),
      mqarProtocols.forgetting(),
      mqarProtocols.compositional(),
    ]) {
      expect(JSON.parse(JSON.stringify(protocol))).toEqual(protocol);
    }
  });
});

describe('MAD', () => {
  it('has 66 settings, each of which is a task, with names of their own', () => {
    expect(madSettings).toHaveLength(66);
    expect(new Set(madSettings.map(({ name }) => name)).size).toBe(66);
    for (const { task: spec } of madSettings) {
      const task = taskOf(spec);
      expect(task.batchesPerEpoch(1, 'test')).toBe(1280);
      expect(task.name).toBe(spec.type);
    }
  });

  it('has a baseline for each task and changes one factor at a time', () => {
    const counts: Record<string, number> = {};
    for (const { task, factor } of madSettings) {
      counts[task.type] = (counts[task.type] ?? 0) + 1;
      const baseline = madSettings.find(({ name }) => name === task.type)?.task as object;
      const changed = Object.entries(task).filter(([key, value]) => baseline[key as never] !== value);
      expect(changed.map(([key]) => key)).toEqual(factor === undefined ? [] : [factor]);
    }
    expect(counts).toEqual({
      mad_in_context_recall: 11,
      mad_noisy_recall: 14,
      mad_fuzzy_recall: 11,
      mad_selective_copying: 13,
      mad_compression: 11,
      mad_memorization: 6,
    });
  });

  it('trains each of them six times, 396 times in all', () => {
    const runs = madSettings
      .map(madProtocol)
      .map(({ training }) => [training.learningRates, training.weightDecays]);
    const total = runs.reduce(
      (sum, [rates, decays]) => sum + (rates?.length ?? 0) * (decays?.length ?? 0),
      0,
    );
    expect(total).toBe(396);
  });
});

describe('the accuracy over classes', () => {
  it('counts every class alike, however often it is asked for', () => {
    expect(macroAccuracy([1, 1, 1, 1], [1, 1, 1, 2])).toBe(0.5);
    expect(macroAccuracy([1, 1, 1, 2], [1, 1, 1, 2])).toBe(1);
  });

  it('ignores positions without a label', () => {
    expect(macroAccuracy([1, 5, 2], [1, -100, 2])).toBe(1);
  });

  it('counts a class that was predicted but never asked for as wrong', () => {
    expect(macroAccuracy([1, 3], [1, 1])).toBe(0.25);
  });

  it('is no number without labels, and refuses lists of different lengths', () => {
    expect(macroAccuracy([1], [-100])).toBeNaN();
    expect(() => macroAccuracy([1], [1, 2])).toThrow(
      'macroAccuracy(predicted): 1 predictions for 2 targets.',
    );
  });
});
