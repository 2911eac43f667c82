import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { sampleToken } from '../src/index.ts';

const logits = [Math.log(0.5), Math.log(0.3), Math.log(0.15), Math.log(0.05)];

function frequencies(options: object): number[] {
  const counts = [0, 0, 0, 0];
  const draws = 4000;
  for (let i = 0; i < draws; i++)
    counts[sampleToken(logits, Rng.of(1).fold(i), { temperature: 1, ...options })]!++;
  return counts.map((n) => n / draws);
}

describe('sampling', () => {
  it('is greedy at temperature 0, the lowest id first among equals', () => {
    expect(sampleToken([1, 5, 5, 2], Rng.of(0))).toBe(1);
  });

  it('follows the softmax at temperature 1', () => {
    frequencies({}).forEach((f, i) => expect(f).toBeCloseTo([0.5, 0.3, 0.15, 0.05][i]!, 1.5));
  });

  it('keeps the k most likely tokens, renormalised', () => {
    frequencies({ topK: 2 }).forEach((f, i) => expect(f).toBeCloseTo([0.625, 0.375, 0, 0][i]!, 1.5));
    expect(frequencies({ topK: 2 }).slice(2)).toEqual([0, 0]);
  });

  it('keeps the fewest tokens that hold the mass of top-p', () => {
    expect(frequencies({ topP: 0.79 }).slice(2)).toEqual([0, 0]);
    expect(frequencies({ topP: 0.81 })[2]).toBeGreaterThan(0);
    expect(frequencies({ topP: 0.81 })[3]).toBe(0);
    expect(frequencies({ topP: 0.1 })).toEqual([1, 0, 0, 0]);
  });

  it('sharpens with a low temperature without overflow', () => {
    expect(sampleToken([1e4, 2e4, -1e4], Rng.of(0), { temperature: 1e-3 })).toBe(1);
  });

  it('draws the same token from the same key', () => {
    const draw = () => sampleToken(logits, Rng.of(5), { temperature: 1 });
    expect(draw()).toBe(draw());
  });

  it('never draws a token whose logit is −∞', () => {
    expect(sampleToken([-Infinity, 1, -Infinity], Rng.of(0))).toBe(1);
    expect(sampleToken([-Infinity, 1, -Infinity], Rng.of(0), { temperature: 1 })).toBe(1);
  });

  it.each([
    [[1, NaN, 2], /the logit of token 1 is NaN/],
    [[1, 2, Infinity], /the logit of token 2 is Infinity/],
    [[-Infinity, -Infinity], /no token has a finite logit/],
    [[], /no token has a finite logit/],
  ])('refuses the logits %j', (values, message) => {
    for (const temperature of [0, 1])
      expect(() => sampleToken(values, Rng.of(0), { temperature })).toThrow(
        expect.objectContaining({ code: 'value', message: expect.stringMatching(message) }),
      );
  });

  it.each([
    [{ temperature: -1 }, /temperature/],
    [{ topK: 0 }, /topK/],
    [{ topP: 0 }, /topP/],
    [{ topP: 1.5 }, /topP/],
  ])('refuses %o', (options, message) => {
    expect(() => sampleToken(logits, Rng.of(0), options)).toThrow(message);
  });
});
