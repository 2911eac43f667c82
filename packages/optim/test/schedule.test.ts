import '@mnemix/testkit';
import { describe, expect, it } from 'vitest';
import { schedule, type ScheduleConfig } from '../src/index.ts';

const kinds = ['constant', 'linear', 'cosine'] as const;

describe.each(kinds)('a %s schedule', (kind) => {
  const rate = schedule({ kind, learningRate: 2, steps: 30, warmupSteps: 10, finalRatio: 0.1 });

  it('rises in a straight line, from above zero to the highest rate at the last step of the warm-up', () => {
    expect([0, 1, 4, 9].map(rate)).toEqual([0.2, 0.4, 1, 2]);
    expect(rate(10)).toBe(2);
  });

  it('starts at the highest rate without a warm-up', () => {
    expect(schedule({ kind, learningRate: 2, steps: 5 })(0)).toBe(2);
  });

  it('never rises after the warm-up, and stays at its end', () => {
    const rates = Array.from({ length: 60 }, (_, i) => rate(10 + i));
    expect(rates).toEqual(rates.toSorted((a, b) => b - a));
    expect(rate(10_000)).toBe(rate(30));
  });
});

it('a constant schedule stays, and needs no end', () => {
  expect(schedule({ kind: 'constant', learningRate: 3 })(1e9)).toBe(3);
});

it.each([
  ['linear', [2, 1.55, 1.1, 0.65, 0.2]],
  ['cosine', [2, 1.1 + 0.9 * Math.SQRT1_2, 1.1, 1.1 - 0.9 * Math.SQRT1_2, 0.2]],
] as const)('a %s schedule falls to the final ratio', (kind, expected) => {
  const rate = schedule({ kind, learningRate: 2, steps: 30, warmupSteps: 10, finalRatio: 0.1 });
  expect([10, 15, 20, 25, 30].map(rate)).toBeCloseRms(expected, 1e-12);
});

it.each(['linear', 'cosine'] as const)('a %s schedule ends at zero unless told otherwise', (kind) => {
  const rate = schedule({ kind, learningRate: 2, steps: 4 });
  expect(rate(3)).toBeGreaterThan(0);
  expect(rate(4)).toBe(0);
});

it.each<[message: string, config: Partial<ScheduleConfig>]>([
  ['schedule: kind: found square.', { kind: 'square' as never }],
  ['schedule: learningRate: expected a number ≥ 0, found NaN.', { learningRate: NaN }],
  ['schedule: learningRate: expected a number ≥ 0, found undefined.', { learningRate: undefined as never }],
  [
    'schedule: steps: expected a number above the 0 steps of warm-up, found undefined.',
    { steps: undefined as never },
  ],
  ['schedule: steps: expected a number above the 10 steps of warm-up, found 10.', { warmupSteps: 10 }],
  ['schedule: warmupSteps: expected a number ≥ 0, found -1.', { warmupSteps: -1 }],
  ['schedule: finalRatio: expected a number from 0 to 1, found 2.', { finalRatio: 2 }],
  ['schedule: lr: unknown key.', { lr: 1 } as never],
])('refuses: %s', (message, config) => {
  expect(() => schedule({ kind: 'cosine', learningRate: 1, steps: 10, ...config })).toThrow(message);
});
