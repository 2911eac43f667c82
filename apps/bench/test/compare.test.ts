import { describe, expect, it } from 'vitest';
import { compare, formatComparison, holm, isWorse, welch } from '../src/sweep/compare.ts';
import { jobsOf } from '../src/sweep/expand.ts';
import type { JobRecord, Outcome } from '../src/sweep/record.ts';
import { tinySweep } from './tiny-sweep.ts';

const options = { threshold: 0.02, alpha: 0.05, oneSeedDecides: false };

const done = (accuracy: number): Outcome => ({
  status: 'done',
  accuracy,
  accuracies: { test: accuracy },
  steps: 1,
  curve: [],
  stateBytes: 1,
  parameters: 1,
  activatedParameters: 1,
  seconds: 1,
});
const ended = (status: 'failed' | 'diverged'): Outcome => ({
  status,
  cause: { code: status, message: '' },
  curve: [],
  seconds: 1,
});

/** Records of one model, seeds 1, 2, …. */
const records = (outcomes: readonly (number | Outcome)[], sweep: object = {}): readonly JobRecord[] =>
  jobsOf({ ...tinySweep, seeds: outcomes.map((_, i) => i + 1), ...sweep }).map(({ key, job }, i) => {
    const outcome = outcomes[i]!;
    return {
      key,
      job,
      outcome: typeof outcome === 'number' ? done(outcome) : outcome,
      environment: {},
      finished: '2026-01-01T00:00:00.000Z',
    };
  });

const verdict = (
  before: readonly (number | Outcome)[],
  after: readonly (number | Outcome)[],
  more: Partial<typeof options> = {},
): string => compare(records(before), records(after), { ...options, ...more })[0]!.verdict;

describe('a comparison of results', () => {
  it('tells what is beyond the noise of the seeds from what is within it', () => {
    expect(verdict([0.9, 0.91, 0.92], [0.9, 0.91, 0.92])).toBe('same');
    expect(verdict([0.9, 0.91, 0.92], [0.7, 0.72, 0.71])).toBe('worse');
    expect(verdict([0.7, 0.72, 0.71], [0.9, 0.91, 0.92])).toBe('better');
    expect(verdict([0.9, 0.5, 0.7], [0.6, 0.8, 0.4])).toBe('within noise');
    expect(verdict([0.9, 0.9001, 0.9002], [0.891, 0.8911, 0.8912])).toBe('below threshold');
  });

  it('does not decide by one seed, unless it is asked to', () => {
    expect(verdict([0.9], [0.5])).toBe('not decidable');
    expect(verdict([0.9], [0.5], { oneSeedDecides: true })).toBe('worse');
    expect(verdict([0.9], [0.89], { oneSeedDecides: true })).toBe('not decidable');
    expect(verdict([0.9], [0.9])).toBe('same');
  });

  it('takes a divergence for an accuracy of nothing, and a failure for a failure', () => {
    expect(verdict([0.9, 0.91, 0.92], [ended('diverged'), ended('diverged'), ended('diverged')])).toBe(
      'worse',
    );
    expect(verdict([0.9, 0.91], [0.9, ended('failed')])).toBe('failed');
    expect(verdict([0.9, ended('failed')], [0.8, ended('failed')])).toBe('not decidable');
  });

  it('says which points only one of the files has, and which had another configuration', () => {
    const [common, gone, fresh] = compare(
      records([0.5, 0.6], { mixers: ['gla', 'gsa'], seeds: [1] }),
      records([0.5, 0.6], {
        mixers: ['gla', 'kda'],
        seeds: [1],
        training: { ...tinySweep.training, steps: 3 },
      }),
      options,
    );
    expect([common!.model, gone!.model, fresh!.model]).toEqual(['gla', 'gsa', 'kda']);
    expect([common!.note, gone!.verdict, fresh!.verdict]).toEqual([
      'other configuration',
      'missing',
      'missing',
    ]);
  });

  it('is worse as a whole where one point is', () => {
    const before = records([0.9, 0.91, 0.92]);
    expect(isWorse(compare(before, records([0.1, 0.11, 0.12]), options))).toBe(true);
    expect(isWorse(compare(before, records([0.9, 0.92, 0.91]), options))).toBe(false);
    expect(isWorse(compare(before, records([0.9, ended('failed'), 0.92]), options))).toBe(true);
  });

  it('reads as a table with a summary', () => {
    const comparisons = compare(records([0.9, 0.91, 0.92]), records([0.7, 0.72, 0.71]), options);
    const text = formatComparison(comparisons, options);
    expect(text).toContain('| 91.0 ± 1.0 (3) | 71.0 ± 1.0 (3) | −20.0 |');
    expect(text).toContain('1 worse.');
  });
});

describe('statistics of a comparison', () => {
  it("has the p of Welch's test", () => {
    // scipy.stats.ttest_ind(a, b, equal_var=False)
    expect(welch([1, 2, 3, 4], [2, 4, 6, 8, 10])).toBeCloseTo(0.06913359319239, 10);
    expect(welch([1, 1], [1, 1])).toBe(1);
    expect(welch([1, 1], [2, 2])).toBe(0);
    expect(welch([1], [2, 3])).toBeUndefined();
  });

  it('corrects for how many points are looked at', () => {
    expect(holm([0.01, undefined, 0.04, 0.03])).toEqual([0.03, undefined, 0.06, 0.06]);
    expect(holm([0.9, 0.8])).toEqual([1, 1]);
  });
});
