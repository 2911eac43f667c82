// Every option of RWKV-6 against its float64 layer, how it starts, its decays at the extremes, and the
// options that are refused.
import { asMixer } from '@mnemix/layers';
import { openBackend, Rng, tidy } from '@mnemix/tensor';
import { rwkv6 as oracle, type FlaConfig } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { rwkv6, type Rwkv6Config } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, mixRank: 3, decayRank: 5 };
const row = (name: string, options: Partial<Rwkv6Config>, config: FlaConfig = {}): OracleCase => [
  `rwkv6, ${name}`,
  rwkv6({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is', {}),
  row('wide keys, narrow values', { expandK: 1.5, expandV: 0.5 }),
  row('three heads, ranks of one', { heads: 3, mixRank: 1, decayRank: 1 }, { num_heads: 3 }),
  row('convolutions', { convolution: 3 }),
  row('another epsilon', { normEps: 0.1 }, { norm_eps: 0.1 }),
]);

describe('rwkv6', () => {
  it('starts with decays, bonuses and mixes that differ by channel and layer', () => {
    tidy(() => {
      const [first, last] = [0, 1].map((layer) => rwkv6({ ...size, layer, layers: 2 }).init(Rng.of(1))) as [
        ReturnType<ReturnType<typeof rwkv6>['init']>,
        ReturnType<ReturnType<typeof rwkv6>['init']>,
      ];
      const along = [0, 0.2, 0.4, 0.6, 0.8, 1];
      const bias = (params: typeof first) => params.w_proj.linear.lora[2].bias;
      expect(bias(first)).toBeCloseRms(
        along.map((a) => -6 + 5 * a ** 0.7),
        1e-6,
      );
      expect(bias(last)).toBeCloseRms(
        along.map((a) => -6 + 5 * a ** 2),
        1e-6,
      );
      expect(first.bonus).toBeCloseRms([0, 0.1, -0.1, 0, 0.1, -0.1], 1e-6);
      expect(last.bonus).toBeCloseRms([1, 0.9, 0.5, 0.4, 0.3, -0.1], 1e-6);
      const mix = (power: number, less = 0) =>
        Array.from({ length: 12 }, (_, i) => 1 - (i / 12) ** power - less);
      const halves = [mix(0.25), mix(0.5), mix(0.5), mix(0.5, 0.3), mix(0.25)];
      expect(last.x_bias).toBeCloseRms(halves.flat(), 1e-6);
      expect(last.x_proj[0].mu).toBeCloseRms(mix(0.5), 1e-6);
      expect(first.g_norm.weight.dataSync()[0]).toBeCloseTo(0.5 ** 0.7, 6);
    });
  });

  it.each([
    ['close', 20],
    ['overflow', 1e4],
    ['stay open', -1e4],
  ])('has finite gradients where its gates %s', (_, value) => {
    expectFinite(asMixer(rwkv6(size)), { 'w_proj.linear.lora.2.bias': value });
  });

  it.each([
    [{ heads: 5 }, /rwkv6\(heads\): 5 heads do not divide the key width 6/],
    [{ expandK: 0.3 }, /rwkv6\(expandK\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [{ mixRank: 0 }, /rwkv6\(mixRank\): it is 0/],
    [{ decayRank: 2.5 }, /rwkv6\(decayRank\): it is 2\.5/],
    [{ convolution: -1 }, /rwkv6\(convolution\): it is -1/],
    [{ layer: 2, layers: 2 }, /rwkv6\(layer\): there is no layer 2 among 2/],
    [{ normEps: 'small' }, /rwkv6\(normEps\): expected a number, found "small"/],
    [{ gate: false }, /rwkv6: gate: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => rwkv6({ ...size, ...options } as never)).toThrow(message);
  });
});
