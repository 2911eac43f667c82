// Every option of TTT-linear against its float64 layer, its step sizes at the extremes, and the options that
// are refused.
import { asMixer, type Mixer } from '@mnemix/layers';
import { flatten, openBackend, Rng, tidy, type Tensor3D } from '@mnemix/tensor';
import { tttLinearCell as oracle } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { tttLinear, type TttLinearConfig } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2 };
const row = (name: string, options: Partial<TttLinearConfig>, config: object = {}): OracleCase => [
  `ttt_linear, ${name}`,
  tttLinear({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is', {}),
  row('no convolution', { convolution: 0 }),
  row('two taps', { convolution: 2 }),
  row('not rotated, an odd width', { expandK: 5 / 6, expandV: 5 / 6, rotary: false }, { rotary: false }),
  row('wide heads', { expandK: 5 / 3, expandV: 5 / 3 }),
  row('a map for every token', { miniBatch: 1 }, { mini_batch: 1 }),
  row('mini-batches of three', { miniBatch: 3 }, { mini_batch: 3 }),
  row('mini-batches that end with the state', { miniBatch: 6 }, { mini_batch: 6 }),
  row('small steps', { stepSize: 0.1 }, { step_size: 0.1 }),
  row('no gate', { gate: false }),
]);

describe('ttt_linear', () => {
  it.each([-1e4, -80, 80, 1e4])('has finite gradients where its steps are at σ(%d)', (logit) => {
    expectFinite(asMixer(tttLinear(size)) as Mixer, { 'eta_proj.bias': logit });
  });

  it('has finite gradients where its map answers nothing yet', () => {
    expectFinite(asMixer(tttLinear(size)) as Mixer, { W1: 0 });
  });

  it('learns nothing where its steps are 0', () => {
    tidy(() => {
      const mixer = asMixer(tttLinear(size));
      const params = mixer.init(Rng.of(1));
      const still = { ...params, eta_proj: { ...params.eta_proj, bias: Rng.of(1).uniform([2], -1e4, -9e3) } };
      const x = Rng.of(2).normal([1, 32, 12]) as Tensor3D;
      const { state } = mixer.forward(still as never, x);
      for (const [path, leaf] of Object.entries(flatten({ ...state, windows: [] } as never)))
        expect(
          leaf.dataSync().every((value) => value === 0),
          path,
        ).toBe(true);
    });
  });

  it.each([
    [{ expandV: 2 }, /tttLinear\(expandV\): values are 12 wide in a head and keys 6/],
    [{ expandK: 0.5 }, /tttLinear\(expandV\): values are 6 wide in a head and keys 3/],
    [{ expandK: 0.5, expandV: 0.5 }, /tttLinear\(rotary\): rotation needs pairs.*3 wide/],
    [{ expandK: 0.3 }, /tttLinear\(expandK\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [{ heads: 5 }, /tttLinear\(heads\): 5 heads do not divide/],
    [{ miniBatch: 0 }, /tttLinear\(miniBatch\): it is 0/],
    [{ miniBatch: 1.5 }, /tttLinear\(miniBatch\): it is 1\.5/],
    [{ stepSize: 0 }, /tttLinear\(stepSize\): with steps of 0 nothing is learned/],
    [{ convolution: -1 }, /tttLinear\(convolution\): it is -1/],
    [{ rotary: 1 }, /tttLinear\(rotary\): expected a boolean, found 1/],
    [{ chunkSize: 16 }, /tttLinear: chunkSize: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => tttLinear({ ...size, ...options } as never)).toThrow(message);
  });
});
