// Based and ReBased against their kernels in float64, option by option; what rounding must not do; what is
// refused.
import { asMixer } from '@mnemix/layers';
import {
  entries,
  mul,
  openBackend,
  Rng,
  slice,
  sum,
  tidy,
  valueAndGrad,
  type Scalar,
  type Tensor,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { based as basedOracle, cellForward, map, nd, rebased as rebasedOracle } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { based, rebased, type BasedConfig, type RebasedConfig } from '../src/index.ts';
import { products } from '../src/quadratic-attention.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, featureWidth: 5 };
const basedRow = (name: string, options: Partial<BasedConfig>, config: object = {}): OracleCase => [
  `based, ${name}`,
  based({ ...size, ...options }),
  basedOracle,
  { num_heads: 2, ...config },
];
const rebasedRow = (name: string, options: Partial<RebasedConfig>, config: object = {}): OracleCase => [
  `rebased, ${name}`,
  rebased({ ...size, ...options }),
  rebasedOracle,
  { num_heads: 2, ...config },
];

describeOracles([
  basedRow('a single feature', { featureWidth: 1 }),
  basedRow('wide values', { expandV: 1.5 }),
  basedRow('three taps', { convolution: 3 }),
  basedRow('a strong eps', { eps: 0.5 }, { eps: 0.5 }),
  rebasedRow('wide values', { expandV: 1.5 }),
  rebasedRow('three taps', { convolution: 3 }),
  rebasedRow('no shift', { beta: false }),
  rebasedRow('no factor', { gamma: false }),
  rebasedRow('neither', { beta: false, gamma: false }),
  rebasedRow('not normalised', { normalise: false }, { normalize: false }),
  rebasedRow('a factor alone', { normalise: false, beta: false }, { normalize: false }),
  rebasedRow('strong eps', { eps: 0.5, normEps: 0.1 }, { eps: 0.5, norm_eps: 0.1 }),
]);

describe('products', () => {
  it('have the dot product weight·(q·k)²', () => {
    tidy(() => {
      const [q, k] = [Rng.of(1).normal([3, 2, 5]), Rng.of(2).normal([3, 2, 5])] as [Tensor3D, Tensor3D];
      const square = mul(mul(sum(mul(q, k), 2), sum(mul(q, k), 2)), 0.3);
      expect(products(q, 0.3).shape).toEqual([3, 2, 15]);
      expect(sum(mul(products(q, 0.3), products(k, 0.3)), 2)).toBeCloseRms(square, 1e-5);
    });
  });
});

describe('based and rebased', () => {
  it.each([0, 1e-3, 30])('have finite gradients where their projections are all %d', (entry) => {
    const projections = { 'q_proj.weight': entry, 'k_proj.weight': entry };
    expectFinite(asMixer(based(size)), projections);
    expectFinite(asMixer(rebased(size)), projections);
    expectFinite(asMixer(rebased({ ...size, normalise: false })), projections);
  });

  it('keep their digits where sequences begin, and a square near 0 is all that they divide by', () => {
    tidy(() => {
      const [sequences, tokens] = [40, 3];
      const mixer = asMixer(rebased({ ...size, featureWidth: 16 }));
      const params = mixer.init(Rng.of(1));
      const [x, dy] = [Rng.of(2), Rng.of(3)].map((rng) => rng.normal([sequences, tokens, 12]) as Tensor3D);
      const { grads } = valueAndGrad((tree: { q: Tensor }) => {
        const moved = { ...params, q_proj: { weight: tree.q as Tensor2D } };
        return { value: sum(mul(mixer.forward(moved, x!).y, dy!)) as Scalar };
      })({ q: params.q_proj!.weight });

      const float64 = (t: Tensor) => nd(t.shape, t.dataSync());
      const values = Object.fromEntries(Array.from(entries(params), ([path, leaf]) => [path, float64(leaf)]));
      const weight = values['q_proj.weight']!;
      const direction = Rng.of(4).normalArray(weight.data.length);
      const loss = (by: number): number => {
        const moved = map(weight, (value, i) => value + by * direction[i]!);
        return Array.from({ length: sequences }, (_, b) => {
          const part = (t: Tensor) => float64(slice(t, [b, 0, 0], [1, tokens, 12])).data;
          const { y } = cellForward(
            rebasedOracle,
            { ...values, 'q_proj.weight': moved },
            { num_heads: 2 },
            nd([tokens, 12], part(x!)),
          );
          return y.data.reduce((total, value, i) => total + value * part(dy!)[i]!, 0);
        }).reduce((total, value) => total + value, 0);
      };
      const expected = (loss(1e-7) - loss(-1e-7)) / 2e-7;
      const gradient = Array.from(grads.q.dataSync());
      const found = gradient.reduce((total, value, i) => total + value * direction[i]!, 0);
      const norm = Math.sqrt(gradient.reduce((total, value) => total + value * value, 0));
      expect(Math.abs(found - expected)).toBeLessThanOrEqual(1e-4 * norm);
    });
  });

  it.each([
    [based, { featureWidth: 0 }, /based\(featureWidth\): it is 0/],
    [based, { expandV: 0.3 }, /based\(expandV\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [based, { heads: 5 }, /based\(heads\): 5 heads do not divide the value width 12/],
    [based, { eps: 0 }, /based\(eps\): it is 0/],
    [based, { convolution: -1 }, /based\(convolution\): it is -1/],
    [based, { expandK: 1 }, /based: expandK: unknown key/],
    [rebased, { normalise: false, gamma: false }, /rebased\(gamma\): without normalise/],
    [rebased, { eps: 1e-20 }, /rebased\(eps\): it is 1e-20/],
    [rebased, { heads: 5 }, /rebased\(heads\): 5 heads do not divide/],
  ])('%o refuses %o by name', (create, options, message) => {
    expect(() => create({ ...size, ...options } as never)).toThrow(message);
  });
});
