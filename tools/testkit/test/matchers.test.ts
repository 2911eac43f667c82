import { describe, expect, it } from 'vitest';
import { fromNested, nd, relativeRms } from '../src/index.ts';

const failure = (check: () => void): string => {
  try {
    check();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('the matcher passed');
};

describe('relativeRms', () => {
  it('is the norm of the difference over the norm of what is expected', () => {
    expect(relativeRms([3, 4.5], [3, 4])).toBe(0.5 / 5);
  });

  it('is 0 between zeros and infinite from zeros to anything else', () => {
    expect(relativeRms([0, 0], [0, 0])).toBe(0);
    expect(relativeRms([0, 1], [0, 0])).toBe(Infinity);
  });

  it('refuses different lengths', () => {
    expect(() => relativeRms([1], [1, 2])).toThrow('found 1 values, expected 2 values');
  });
});

describe('toBeCloseRms', () => {
  it('takes numbers, flat and nested arrays, arrays with a shape and tensors', () => {
    const tensor = { shape: [2, 2], dataSync: () => Float32Array.of(1, 2, 3, 4) };
    expect(1).toBeCloseRms(1, 0, 0);
    expect(Float32Array.of(1, 2, 3, 4)).toBeCloseRms(
      [
        [1, 2],
        [3, 4],
      ],
      0,
      0,
    );
    expect(tensor).toBeCloseRms(
      fromNested([
        [1, 2],
        [3, 4],
      ]),
      0,
      0,
    );
    expect([
      [1, 2],
      [3, 4],
    ]).toBeCloseRms(tensor, 0, 0);
  });

  it('passes up to the tolerance and no further', () => {
    expect([3, 4.5]).toBeCloseRms([3, 4], 0.1, 0);
    expect([3, 4.5]).not.toBeCloseRms([3, 4], 0.0999, 0);
  });

  it('passes where no entry is off by more than the absolute floor', () => {
    expect([1e-7]).toBeCloseRms([0], 1e-4);
    expect([1e-7]).not.toBeCloseRms([0], 1e-4, 0);
  });

  it('names the relative RMS, the worst index and both values', () => {
    const message = failure(() =>
      expect(nd([2, 2], [1, 2, 3, 9])).toBeCloseRms(nd([2, 2], [1, 2, 3, 4]), 1e-4),
    );
    expect(message).toContain('relative RMS 9.129e-1 (limit 0.0001)');
    expect(message).toContain('at [1, 1]: found 9, expected 4');
  });

  it.each([NaN, Infinity])('fails on %s on either side, negated or not', (bad) => {
    expect(failure(() => expect([1, bad]).toBeCloseRms([1, 2], 1))).toContain('not a finite number at [1]');
    expect(failure(() => expect([1, 2]).toBeCloseRms([1, bad], 1))).toContain('not a finite number at [1]');
    expect(failure(() => expect([1, bad]).not.toBeCloseRms([1, 2], 1))).toContain(
      'not a finite number at [1]',
    );
  });

  it('fails on unequal shapes of one size, negated or not', () => {
    const [a, b] = [nd([2, 3]), nd([3, 2])];
    expect(failure(() => expect(a).toBeCloseRms(b, 1))).toContain('found shape [2,3], expected shape [3,2]');
    expect(failure(() => expect(a).not.toBeCloseRms(b, 1))).toContain(
      'found shape [2,3], expected shape [3,2]',
    );
  });

  it('fails when there is nothing to compare', () => {
    expect(failure(() => expect([]).toBeCloseRms([], 1))).toContain('nothing to compare');
  });
});
