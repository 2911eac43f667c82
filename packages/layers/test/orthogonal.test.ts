// Orthogonal matrices at the start.
import { openBackend, Rng, tidy } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { initOrthogonal } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('cpu');
});

describe('orthogonal weights', () => {
  it.each([
    [7, 7],
    [5, 12],
    [12, 5],
    [1, 4],
    [33, 33],
  ])('from %i to %i channels have orthogonal rows or columns, the fewer', (inWidth, outWidth) => {
    tidy(() => {
      const weight = initOrthogonal(Rng.of(1), inWidth, outWidth, 0.5).weight;
      expect(weight.shape).toEqual([outWidth, inWidth]);
      const data = weight.dataSync();
      const count = Math.min(inWidth, outWidth);
      const vector = (v: number): number[] =>
        outWidth > inWidth
          ? Array.from({ length: outWidth }, (_, row) => data[row * inWidth + v]!)
          : Array.from(data.subarray(v * inWidth, (v + 1) * inWidth));
      for (let a = 0; a < count; a++) {
        for (let b = 0; b < count; b++) {
          const product = vector(a).reduce((sum, value, i) => sum + value * vector(b)[i]!, 0);
          expect(product).toBeCloseTo(a === b ? 0.25 : 0, 6);
        }
      }
    });
  });

  it('are those of their seed', () => {
    tidy(() => {
      const [a, b, other] = [1, 1, 2].map((seed) => initOrthogonal(Rng.of(seed), 3, 4).weight.dataSync());
      expect(a).toEqual(b);
      expect(a).not.toEqual(other);
    });
  });
});
