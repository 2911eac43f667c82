// Every option of Gated DeltaProduct against its float64 layer, its single step against Gated DeltaNet, gates at
// the extremes, and what is refused.
import { asMixer } from '@mnemix/layers';
import { openBackend, Rng, tidy, type Tensor3D } from '@mnemix/tensor';
import { gatedDeltaProduct as oracle, type FlaConfig } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatedDeltaNet, gatedDeltaProduct, type GatedDeltaProductConfig } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, headWidth: 5 };
const row = (name: string, options: Partial<GatedDeltaProductConfig>, config: FlaConfig): OracleCase => [
  `gated_delta_product, ${name}`,
  gatedDeltaProduct({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is', {}, {}),
  row('one step', { householders: 1 }, { num_householder: 1 }),
  row('four steps, narrow values', { householders: 4, expandV: 3 / 5 }, { num_householder: 4 }),
  row('more value heads', { valueHeads: 4, expandV: 1 }, { num_v_heads: 4 }),
  row('no convolution', { convolution: 0 }, {}),
  row('two taps', { convolution: 2 }, {}),
  row('no gate', { gate: false }, { use_output_gate: false }),
  row('no forget gate', { forgetGate: false }, { use_forget_gate: false }),
  row('no negative eigenvalues', { negativeEigenvalues: false }, { allow_neg_eigval: false }),
  row(
    'neither, in three steps',
    { forgetGate: false, negativeEigenvalues: false, householders: 3 },
    { use_forget_gate: false, allow_neg_eigval: false, num_householder: 3 },
  ),
]);

describe('gated_delta_product', () => {
  it('of one step is Gated DeltaNet', () => {
    tidy(() => {
      const product = asMixer(gatedDeltaProduct({ ...size, householders: 1, negativeEigenvalues: false }));
      const net = asMixer(gatedDeltaNet(size));
      const params = product.init(Rng.of(1));
      const x = Rng.of(2).normal([2, 21, 12]) as Tensor3D;
      expect(product.forward(params, x).y).toBeCloseRms(net.forward(params as never, x).y, 1e-6);
    });
  });

  it('without a forget gate has no parameters of one', () => {
    tidy(() => {
      const cell = gatedDeltaProduct({ ...size, forgetGate: false });
      expect(cell.perMemory).toEqual(['k_proj', 'v_proj', 'b_proj']);
      const names = Object.keys(cell.init(Rng.of(1)));
      for (const name of ['a_proj', 'A_log', 'dt_bias']) expect(names).not.toContain(name);
    });
  });

  it.each([
    ['open', { dt_bias: -1e4 }],
    ['close', { dt_bias: 1e4 }],
    ['close at the fastest rate', { dt_bias: 100, A_log: 5 }],
    ['open at the slowest rate', { A_log: -90 }],
    ['are steep', { 'a_proj.weight': 1e4 }],
    ['write all or nothing', { 'b_proj.weight': 1e4 }],
  ])('has finite gradients where its gates %s', (_, constants) => {
    expectFinite(asMixer(gatedDeltaProduct(size)), constants as Record<string, number>);
  });

  it.each([
    [{ householders: 0 }, /gatedDeltaProduct\(householders\): it is 0/],
    [{ householders: 1.5 }, /gatedDeltaProduct\(householders\): it is 1\.5/],
    [{ valueHeads: 3 }, /gatedDeltaProduct\(valueHeads\): 3 value heads cannot share 2 key heads evenly/],
    [{ expandV: 0.5 }, /gatedDeltaProduct\(expandV\): 5·0\.5 = 2\.5 is not a whole number/],
    [{ convolution: -1 }, /gatedDeltaProduct\(convolution\): it is -1/],
    [{ forgetGate: false, initialDecay: 1 }, /gatedDeltaProduct\(initialDecay\): nothing decays/],
    [{ forgetGate: 'no' }, /gatedDeltaProduct\(forgetGate\): expected a boolean, found "no"/],
    [{ num_householder: 2 }, /gatedDeltaProduct: num_householder: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => gatedDeltaProduct({ ...size, ...options } as never)).toThrow(message);
  });
});
