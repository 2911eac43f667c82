// Cells that can say how badly they return a token's value for its own key.
import { asMixer, type Mixer } from '@mnemix/layers';
import { concat, memory, openBackend, Rng, slice, tidy, type Tensor, type Tensor3D } from '@mnemix/tensor';
import '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { cellCases } from './cases.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const mixers = cellCases
  .map(({ name, small }): [string, Mixer] => [name, asMixer(small()) as Mixer])
  .filter(([, mixer]) => mixer.recallsItself);

it('is most of those that write a value for a key', () => {
  expect(mixers.map(([name]) => name)).toEqual(
    expect.arrayContaining(['linear_attention', 'gla', 'mamba2', 'delta_net', 'gated_delta_net', 'kda']),
  );
});

describe.each(mixers)('%s', (_, mixer) => {
  const x = () => Rng.of(2).normal([2, 20, mixer.width]) as Tensor3D;
  const errors = (input: Tensor3D): number[] =>
    tidy(() => {
      const params = mixer.init(Rng.of(1));
      const { aux } = mixer.forward(params, input, { selfRecall: true });
      return Array.from((aux.selfRecall as Tensor3D).dataSync()) as never;
    });

  it('recalls a first token as it was, and later ones the worse for what else it holds', () => {
    tidy(() => {
      const found = errors(x());
      expect(found).toHaveLength(40);
      for (const first of [0, 20]) expect(found[first]).toBeLessThan(1e-5);
      for (const error of found) expect(error >= -1e-5 && error <= 2.00001).toBe(true);
      expect(Math.max(...found)).toBeGreaterThan(1e-3);
    });
  });

  it('says the same when the sequence is cut, looks at no later token, and is silent unless asked', () => {
    const before = memory().numTensors;
    tidy(() => {
      const params = mixer.init(Rng.of(1));
      const input = x();
      const whole = errors(input);
      const cut = (from: number, to: number): Tensor3D =>
        slice(input, [0, from, 0], [2, to - from, mixer.width]) as Tensor3D;
      const first = mixer.forward(params, cut(0, 7), { selfRecall: true });
      const second = mixer.forward(params, cut(7, 20), { selfRecall: true, state: first.state });
      const of = (b: number): number[] => [
        ...(first.aux.selfRecall as Tensor).dataSync().subarray(b * 7, (b + 1) * 7),
        ...(second.aux.selfRecall as Tensor).dataSync().subarray(b * 13, (b + 1) * 13),
      ];
      // Differences from 1 of a cosine: absolute, since many are nearly 0.
      for (const b of [0, 1])
        of(b).forEach((error, t) => expect(Math.abs(error - whole[b * 20 + t]!)).toBeLessThan(1e-5));
      const other = concat([cut(0, 12), Rng.of(8).normal([2, 8, mixer.width])], 1) as Tensor3D;
      errors(other)
        .slice(0, 12)
        .forEach((error, t) => expect(Math.abs(error - whole[t]!)).toBeLessThan(1e-5));
      expect(mixer.forward(params, input).aux).toEqual({});
    });
    expect(memory().numTensors).toBe(before);
  });
});
