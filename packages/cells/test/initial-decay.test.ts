// The option `initialDecay` of every cell that has it.
import { openBackend, Rng, tidy, type Tensor1D } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { cellEntry, cells } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const sizes = { width: 12, heads: 2, keyWidth: 6, valueWidth: 6 };

const withOption = Object.keys(cells).flatMap((name) => {
  const { create, ofSizes } = cellEntry('initialDecay', name);
  const make = (options: object) => create({ ...ofSizes(sizes), ...options });
  return 'initialDecay' in make({}).config ? [{ name, make }] : [];
});

describe('initialDecay', () => {
  it('is an option of the gated delta rules, Mamba-2 and their log-linear forms', () => {
    expect(withOption.map(({ name }) => name).toSorted()).toEqual([
      'comba',
      'gated_delta_net',
      'gated_delta_product',
      'gdn2',
      'kda',
      'log_linear_gdn',
      'log_linear_mamba2',
      'mamba2',
    ]);
  });

  it.each(withOption)('of $name has to be a finite number above 0', ({ make }) => {
    for (const value of [0, -0.5, -Infinity, Infinity, NaN, '1', null])
      expect(() => make({ initialDecay: value }), String(value)).toThrow(/\w+\(initialDecay\): /);
  });

  it.each(withOption)('of $name bounds the rates that are drawn', ({ make }) => {
    tidy(() => {
      const { A_log: aLog } = make({ initialDecay: 0.25 }).init(Rng.of(1)) as { A_log: Tensor1D };
      expect(aLog.dataSync().every((rate) => Math.exp(rate) < 0.25)).toBe(true);
    });
  });
});
