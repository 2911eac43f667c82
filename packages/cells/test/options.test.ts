// Every option of the cells that fla's golden data hold against the float64 layers, and the options that are refused.
import { asMixer, type AnyCell } from '@mnemix/layers';
import {
  flatten,
  mul,
  openBackend,
  Rng,
  sum,
  tensor,
  tidy,
  valueAndGrad,
  type ParamTree,
  type Scalar,
  type Tensor3D,
} from '@mnemix/tensor';
import { cells as oracles } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { cells, featureMaps, type FeatureMapName } from '../src/index.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const [width, heads] = [12, 2];
const size = { width, heads };
const fla = { num_heads: heads };

const deltaNet = (name: string, options: object, config: object): OracleCase => [
  `delta_net, ${name}`,
  cells.delta_net.create({ ...size, ...options }),
  oracles.delta_net,
  { ...fla, ...config },
];
const linearAttention = (name: string, options: object, config: object): OracleCase => [
  `linear_attention, ${name}`,
  cells.linear_attention.create({ ...size, ...options }),
  oracles.linear_attn,
  { ...fla, ...config },
];
const gla = (name: string, options: object, config: object): OracleCase => [
  `gla, ${name}`,
  cells.gla.create({ ...size, expandK: 1, gateRank: 3, ...options }),
  oracles.gla,
  { ...fla, ...config },
];
const retNet = (name: string, options: object, config: object): OracleCase => [
  `retnet, ${name}`,
  cells.retnet.create({ ...size, ...options }),
  oracles.retnet,
  { ...fla, ...config },
];
const gatedDeltaNet = (name: string, options: object, config: object): OracleCase => [
  `gated_delta_net, ${name}`,
  cells.gated_delta_net.create({ ...size, headWidth: 5, ...options }),
  oracles.gated_deltanet,
  { ...fla, ...config },
];

const cases: OracleCase[] = [
  deltaNet('elu', { activation: 'elu' }, { qk_activation: 'elu' }),
  deltaNet('relu', { activation: 'relu' }, { qk_activation: 'relu' }),
  deltaNet('identity', { activation: 'identity' }, { qk_activation: 'identity' }),
  deltaNet('elu, norm sum', { activation: 'elu', norm: 'sum' }, { qk_activation: 'elu', qk_norm: 'sum' }),
  deltaNet('no convolution', { convolution: 0 }, { use_short_conv: false }),
  deltaNet(
    'no convolution, elu, norm sum',
    { convolution: 0, activation: 'elu', norm: 'sum' },
    { qk_activation: 'elu', qk_norm: 'sum' },
  ),
  deltaNet('no convolution, relu', { convolution: 0, activation: 'relu' }, { qk_activation: 'relu' }),
  deltaNet('two taps', { convolution: 2 }, {}),
  deltaNet('gate', { gate: true }, { use_gate: true }),
  deltaNet('no beta', { beta: false }, { use_beta: false }),
  deltaNet('negative eigenvalues', { negativeEigenvalues: true }, { allow_neg_eigval: true }),
  deltaNet(
    'negative eigenvalues without beta',
    { beta: false, negativeEigenvalues: true },
    { use_beta: false, allow_neg_eigval: true },
  ),
  deltaNet('narrow keys, wide values', { expandK: 0.5, expandV: 1.5 }, {}),
  gla('no gate', { gate: false }, { use_output_gate: false }),
  gla('bounded decay', { clampMin: -0.05 }, { clamp_min: -0.05 }),
  gla('short memory', { gateNormalizer: 2 }, { gate_logit_normalizer: 2 }),
  gla('narrow keys, wide values', { expandK: 0.5, expandV: 1.5 }, {}),
  retNet('no gate', { gate: false }, { use_output_gate: false }),
  retNet('narrow keys', { expandK: 1 / 3, expandV: 1 }, {}),
  gatedDeltaNet('no gate', { gate: false }, { use_gate: false }),
  gatedDeltaNet('two taps, wide values', { convolution: 2, expandV: 1.4 }, {}),
  gatedDeltaNet('more value heads', { valueHeads: 4, expandV: 1 }, { num_v_heads: 4 }),
  gatedDeltaNet('negative eigenvalues', { negativeEigenvalues: true }, { allow_neg_eigval: true }),
  ...(Object.keys(featureMaps) as FeatureMapName[]).flatMap((featureMap) => [
    linearAttention(featureMap, { featureMap }, { feature_map: featureMap }),
    linearAttention(
      `${featureMap}, tied`,
      { featureMap, tieFeatureMaps: true },
      { feature_map: featureMap, tie_feature_map_qk: true },
    ),
  ]),
  linearAttention(
    'normalised queries',
    { featureMap: 'elu', normaliseQ: true },
    { feature_map: 'elu', norm_q: true },
  ),
  linearAttention(
    'normalised keys',
    { featureMap: 'elu', normaliseK: true },
    { feature_map: 'elu', norm_k: true },
  ),
  linearAttention(
    'all normalised',
    { featureMap: 'hedgehog', normalise: true, normaliseQ: true, normaliseK: true },
    { feature_map: 'hedgehog', do_feature_map_norm: true, norm_q: true, norm_k: true },
  ),
  linearAttention('narrow keys, wide values', { expandK: 0.5, expandV: 1.5 }, {}),
];

describeOracles(cases);

describe('options', () => {
  it('reads an undefined one as absent', () => {
    const cell = cells.delta_net.create({ ...size, expandV: undefined, norm: undefined, gate: undefined });
    expect(cell.config).toEqual(cells.delta_net.create(size).config);
  });

  it.each([
    ['gla', { width: 56, heads: 1, expandK: 29 / 56 }, [2, 1, 29, 56]],
    ['gated_delta_net', { width: 8, heads: 1, headWidth: 7, expandV: 29 / 7 }, [2, 1, 7, 29]],
    ['delta_net', { width: 49, heads: 1, expandV: 29 / 49 }, [2, 1, 49, 29]],
  ] as const)('of %s mean whole sizes whatever the ratio rounds to', (name, options, shape) => {
    const cell = cells[name].create(options as never) as AnyCell;
    expect(cell.stateShape(2).memory).toEqual(shape);
    tidy(() => {
      const mixer = asMixer(cell);
      const { width: d } = options;
      const y = mixer.forward(mixer.init(Rng.of(1)), Rng.of(2).normal([1, 3, d]) as Tensor3D).y;
      expect(y.shape).toEqual([1, 3, d]);
    });
  });

  it.each([
    ['gla', { expandK: 0.3 }, /gla\(expandK\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    ['gla', { heads: 5 }, /gla\(heads\): 5 heads do not divide the key width 6/],
    ['gla', { heads: 1.5 }, /gla\(heads\): it is 1\.5/],
    ['gla', { heads: undefined }, /gla\(heads\): it is undefined/],
    ['gla', { activation: 'gelu' }, /gla\(activation\): there is no "gelu".*silu, relu, elu, identity/],
    ['gla', { clampMin: 'low' }, /gla\(clampMin\): expected a number, found "low"/],
    ['gla', { gateRank: 0 }, /gla\(gateRank\): it is 0/],
    ['delta_net', { activation: 'toString' }, /deltaNet\(activation\): there is no "toString"/],
    ['delta_net', { norm: 'l1' }, /deltaNet\(norm\): there is no "l1".*l2, sum/],
    ['delta_net', { convolution: -1 }, /deltaNet\(convolution\): it is -1/],
    ['delta_net', { beta: 'yes' }, /deltaNet\(beta\): expected a boolean, found "yes"/],
    ['delta_net', { headWidth: 4 }, /deltaNet: headWidth: unknown key/],
    ['linear_attention', { featureMap: 'taylor' }, /featureMap\): there is no "taylor".*hedgehog/],
    ['linear_attention', { normEps: NaN }, /normEps\): expected a number, found NaN/],
    ['retnet', { expandK: 0.5, heads: 2 }, /retNet\(heads\): 2 heads.*even parts/],
    ['gated_delta_net', { headWidth: 7, expandV: 0.5 }, /expandV\): 7·0\.5 = 3\.5 is not a whole number/],
    ['gated_delta_net', { headWidth: 4, convolution: 0 }, /convolution\): it is 0/],
    ['gated_delta_net', { headWidth: 4, valueHeads: 3 }, /valueHeads\): 3 value heads cannot share 2/],
  ])('of %s are refused where they are %o', (name, options, message) => {
    expect(() => cells[name as 'gla'].create({ ...size, ...options } as never)).toThrow(message);
  });

  it('of DeltaNet: entries that all vanish stay zero under the norm sum, forward and backward', () => {
    tidy(() => {
      const mixer = asMixer(
        cells.delta_net.create({ ...size, activation: 'relu', norm: 'sum', convolution: 0 }),
      );
      const params = mixer.init(Rng.of(1));
      const x = mul(Rng.of(2).normal([1, 4, width]), tensor([[[0], [1], [0], [1]]])) as Tensor3D;
      const { value, grads } = valueAndGrad((tree: ParamTree) => ({
        value: sum(mixer.forward(tree as never, x).y) as Scalar,
      }))(params);
      for (const leaf of [value, ...Object.values(flatten(grads))])
        expect(leaf.dataSync().every((entry) => Number.isFinite(entry))).toBe(true);
    });
  });
});
