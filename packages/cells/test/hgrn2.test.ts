// HGRN2 against its float64 layer, with and without lower bounds; gates and bounds at the extremes; what is
// refused.
import { asMixer, type AnyCell, type CrossLayer, type ProjectContext } from '@mnemix/layers';
import {
  add,
  mul,
  openBackend,
  Rng,
  sum,
  tensor,
  tensor1d,
  tidy,
  tile,
  valueAndGrad,
  zeros,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { hgrn2 as oracle } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { hgrn2, type Hgrn2Config } from '../src/index.ts';
import { boundedGate } from '../src/lower-bound.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2 };
const row = (name: string, options: Partial<Hgrn2Config>, config: object = {}): OracleCase => [
  `hgrn2, ${name}`,
  hgrn2({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

/** A cell that holds the parameters that a model has for all layers, and gives itself its part. */
function asModel(options: Partial<Hgrn2Config>): AnyCell {
  const cell = hgrn2({ ...size, ...options });
  const { layer, layers } = cell.config as { layer: number; layers: number };
  const { lower_bounds } = cell.sharedParameters!;
  return {
    ...cell,
    init: (rng) => ({ ...cell.init(rng), lower_bounds: lower_bounds!.init(layers) }),
    project: (params, context: ProjectContext<never>) => {
      const part = lower_bounds!.part(params.lower_bounds as Tensor, layer);
      return cell.project(params as never, {
        ...context,
        crossLayer: { parameters: { lower_bounds: part } },
      });
    },
  } as AnyCell;
}

const bounded = (
  name: string,
  layer: number,
  layers: number,
  options: Partial<Hgrn2Config> = {},
): OracleCase => [
  `hgrn2, ${name}`,
  asModel({ layer, layers, ...options }),
  oracle,
  { num_heads: 2, layer_idx: layer },
];

describeOracles([
  row('three taps', { convolution: 3 }),
  row('narrow keys, wide values', { expandK: 0.5, expandV: 1.5 }),
  row('no bound in the second layer', { useLowerBound: false, layer: 1, layers: 2 }),
  bounded('a bound in the second layer', 1, 2),
  bounded('a bound in the middle layer', 2, 4),
  bounded('a bound in the last layer, narrow keys', 3, 4, { expandK: 0.5, convolution: 2 }),
]);

const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** ln(ℓ + (1−ℓ)σ(f)) in float64, by the form that does not cancel. */
function logGate(f: number, bound: number): number {
  if (bound === 0 || f >= 0) return -softplus(-f) + Math.log1p(bound * Math.exp(-Math.max(f, 0)));
  return Math.log(Math.exp(f) + bound) - softplus(f);
}

describe('the lower bound of hgrn2', () => {
  const gates = [-1e4, -200, -60, -20, -15, -5, -1, 0, 1, 5, 20, 60, 200, 1e4];
  const rows = () => tensor(gates, [gates.length, 1]) as Tensor2D;

  it('of 0 is exactly none, wherever the gate is', () => {
    tidy(() => {
      const [none, zero] = [boundedGate(rows()), boundedGate(rows(), zeros([1]))];
      // Adding 0 makes −0 of it 0.
      const values = (x: Tensor) => Array.from(x.dataSync(), (value) => value + 0);
      expect(values(zero.logDecay)).toEqual(values(none.logDecay));
      expect(values(zero.opposite)).toEqual(values(none.opposite));
    });
  });

  it.each([0, 1e-20, 1e-3, 0.3, 0.5, 0.999, 0.9999999, 1])(
    'of %d holds every gate, to the digits of float32',
    (bound) => {
      tidy(() => {
        const { logDecay, opposite } = boundedGate(rows(), tensor1d([bound]));
        const [log, closed] = [logDecay.dataSync(), opposite.dataSync()];
        gates.forEach((f, i) => {
          const expected = logGate(f, Math.fround(bound));
          expect(Math.abs(log[i]! - expected), `${f}`).toBeLessThanOrEqual(2e-7 + 1e-6 * Math.abs(expected));
          expect(log[i]).toBeLessThanOrEqual(0);
          expect(closed[i]).toBeCloseTo((1 - bound) * sigmoid(-f), 6);
        });
      });
    },
  );

  it.each([0, 1e-3, 0.5, 0.999, 1])('of %d has the gradients of its definition', (bound) => {
    const f = [-9, -3, -1, 0, 1, 3, 9];
    const weights = [1, -2, 3, 0.5, -1, 2, 1];
    const opposites = [2, 1, -1, 3, 1, -2, 0.5];
    tidy(() => {
      const { grads } = valueAndGrad((tree: { f: Tensor2D; bound: Tensor1D }) => {
        const { logDecay, opposite } = boundedGate(tree.f, tree.bound);
        const weighted = (x: Tensor2D, by: number[]) => sum(mul(x, tensor(by, [by.length, 1])));
        return { value: add(weighted(logDecay, weights), weighted(opposite, opposites)) as Scalar };
      })({ f: tensor(f, [f.length, 1]) as Tensor2D, bound: tensor1d([bound]) });
      const p = f.map((value) => bound + (1 - bound) * sigmoid(value));
      const slope = f.map((value, i) => weights[i]! / p[i]! - opposites[i]!);
      expect(grads.f).toBeCloseRms(
        f.map((value, i) => slope[i]! * (1 - bound) * sigmoid(value) * sigmoid(-value)),
        1e-5,
      );
      expect(grads.bound).toBeCloseRms(
        [f.reduce((total, value, i) => total + slope[i]! * sigmoid(-value), 0)],
        1e-5,
      );
    });
  });

  it.each([0, 1e-38, 0.5, 1])('of %d has finite gradients wherever the gate is', (bound) => {
    tidy(() => {
      const { grads } = valueAndGrad((tree: { f: Tensor2D; bound: Tensor1D }) => {
        const { logDecay, opposite } = boundedGate(tree.f, tree.bound);
        return { value: add(sum(logDecay), sum(opposite)) as Scalar };
      })({ f: rows(), bound: tensor1d([bound]) });
      for (const leaf of [grads.f, grads.bound]) expect(leaf.dataSync().every(Number.isFinite)).toBe(true);
    });
  });

  it('grows with the layers from 0 and stays below 1, whatever the parameter', () => {
    tidy(() => {
      const { lower_bounds } = hgrn2(size).sharedParameters!;
      expect(lower_bounds!.init(3).shape).toEqual([3, 12]);
      const parts = (parameter: Tensor) =>
        [0, 1, 2, 3].map((layer) => lower_bounds!.part(parameter, layer).dataSync()[0]!);
      expect(parts(lower_bounds!.init(4))).toEqual([0, 0.25, 0.5, 0.75]);
      const steep = parts(tile(tensor([-100, 3, 2, 100], [4, 1]), [1, 12]));
      expect(steep.every((bound, layer) => bound <= 1 && bound >= (steep[layer - 1] ?? 0))).toBe(true);
    });
  });

  it('that a layer above the first needs and does not get is refused by name', () => {
    tidy(() => {
      const mixer = asMixer(hgrn2({ ...size, layer: 1, layers: 2 }));
      const params = mixer.init(Rng.of(1));
      const x = Rng.of(2).normal([1, 3, 12]) as Tensor3D;
      const given = (crossLayer?: CrossLayer) => () => mixer.forward(params, x, { crossLayer });
      const missing = /hgrn2\(crossLayer\.parameters\): layer 1 has a lower bound.*useLowerBound: false/;
      expect(given()).toThrow(missing);
      expect(given({ parameters: {} })).toThrow(missing);
      expect(given({ parameters: { lower_bounds: zeros([5]) } })).toThrow(
        /expected shape \[12\], found \[5\]/,
      );
      expect(given({ parameters: { lower_bounds: zeros([12]) } })).not.toThrow();
    });
  });

  it('is no part of a cell without it', () => {
    expect(hgrn2({ ...size, useLowerBound: false }).sharedParameters).toBeUndefined();
  });
});

describe('hgrn2', () => {
  it.each([-1e3, -30, 30, 1e3])('has finite gradients where its gates are steep by %d', (steepness) => {
    expectFinite(asMixer(hgrn2(size)), { 'f_proj.weight': steepness });
    for (const logit of [0, -200, 200]) {
      const model = asMixer(asModel({ layer: 2, layers: 3 }));
      expectFinite(model, { 'f_proj.weight': steepness, lower_bounds: logit });
    }
  });

  it.each([
    [{ layer: 3, layers: 3 }, /hgrn2\(layer\): there is no layer 3 among 3/],
    [{ layer: 0.5 }, /hgrn2\(layer\): it is 0\.5/],
    [{ useLowerBound: 1 }, /hgrn2\(useLowerBound\): expected a boolean, found 1/],
    [{ expandK: 0.3 }, /hgrn2\(expandK\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [{ heads: 5 }, /hgrn2\(heads\): 5 heads do not divide/],
    [{ convolution: -1 }, /hgrn2\(convolution\): it is -1/],
    [{ expandRatio: 128 }, /hgrn2: expandRatio: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => hgrn2({ ...size, ...options } as never)).toThrow(message);
  });
});
