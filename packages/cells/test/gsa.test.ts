// Every option of gated slot attention against its float64 layer, its gates at the extremes, and the options
// that are refused.
import { asMixer } from '@mnemix/layers';
import {
  flatten,
  mul,
  openBackend,
  Rng,
  sum,
  tensor1d,
  tidy,
  valueAndGrad,
  type Scalar,
} from '@mnemix/tensor';
import { gsa as oracle } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { gsa, type GsaConfig } from '../src/index.ts';
import { oneMinusExp } from '../src/one-minus-exp.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, slots: 5 };
const row = (name: string, options: Partial<GsaConfig>, config: object = {}): OracleCase => [
  `gsa, ${name}`,
  gsa({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is', {}),
  row('one slot', { slots: 1 }),
  row('more slots than channels', { slots: 18 }),
  row('narrow keys, wide values', { expandK: 0.5, expandV: 1.5 }),
  row('short memory', { gateNormalizer: 1 }, { gate_logit_normalizer: 1 }),
  row('bounded gates', { clampMin: -0.05 }, { clamp_min: -0.05 }),
  row('three taps', { convolution: 3 }),
  row('relu', { activation: 'relu' }, { feature_map: 'relu' }),
  row('identity, two taps', { activation: 'identity', convolution: 2 }, { feature_map: 'identity' }),
]);

describe('oneMinusExp', () => {
  const decays = [0, -1e-30, -1e-9, -1e-4, -0.1, -0.2499, -0.25, -0.2501, -0.5, -1, -5, -80, -1e4, -1e30];

  it.each(['wasm', 'cpu'] as const)(
    'keeps the digits of float32 wherever the decay is, on %s',
    async (name) => {
      await openBackend(name);
      tidy(() => {
        const values = oneMinusExp(tensor1d(decays)).dataSync();
        decays.forEach((g, i) => {
          const expected = -Math.expm1(Math.fround(g));
          expect(Math.abs(values[i]! - expected), `${g}`).toBeLessThanOrEqual(3e-7 * expected);
        });
      });
      await openBackend('wasm');
    },
  );

  it('has the gradient −e^g', () => {
    tidy(() => {
      const weights = tensor1d(decays.map((_, i) => 1 + i));
      const { grads } = valueAndGrad((tree: { g: ReturnType<typeof tensor1d> }) => ({
        value: sum(mul(oneMinusExp(tree.g), weights)) as Scalar,
      }))({ g: tensor1d(decays) });
      expect(grads.g).toBeCloseRms(
        decays.map((g, i) => -(1 + i) * Math.exp(g)),
        1e-6,
      );
    });
  });
});

describe('gsa', () => {
  it.each([-1e6, -100, 100, 1e6])('has finite gradients where its gates are steep by %d', (steepness) => {
    expectFinite(asMixer(gsa(size)), { 'f_proj.weight': steepness });
    expectFinite(asMixer(gsa({ ...size, gateNormalizer: 1e-4 })), { 'f_proj.weight': steepness });
  });

  it('writes nothing and forgets nothing where its gates stay open', () => {
    tidy(() => {
      const mixer = asMixer(gsa(size));
      const params = mixer.init(Rng.of(1));
      const x = mul(Rng.of(2).uniform([1, 7, 12], 1, 2), 1);
      const open = { ...params, f_proj: { weight: mul(Rng.of(3).uniform([10, 12], 1, 2), 1e3) } };
      const { state } = mixer.forward(open as never, x as never);
      for (const [path, leaf] of Object.entries(flatten(state as never)))
        expect(
          leaf.dataSync().every((value) => value === 0),
          path,
        ).toBe(true);
    });
  });

  it.each([
    [{ slots: 0 }, /gsa\(slots\): it is 0/],
    [{ slots: 2.5 }, /gsa\(slots\): it is 2\.5/],
    [{ gateNormalizer: 0 }, /gsa\(gateNormalizer\): a temperature of 0/],
    [{ clampMin: 0 }, /gsa\(clampMin\): a gate that is 0 or more never lets go/],
    [{ activation: 'gelu' }, /gsa\(activation\): there is no "gelu"/],
    [{ convolution: -1 }, /gsa\(convolution\): it is -1/],
    [{ expandK: 0.3 }, /gsa\(expandK\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [{ heads: 5 }, /gsa\(heads\): 5 heads do not divide/],
    [{ numSlots: 64 }, /gsa: numSlots: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => gsa({ ...size, ...options } as never)).toThrow(message);
  });
});
