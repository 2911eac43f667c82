// Every option of MesaNet against its float64 layer, which solves exactly; its gates at the extremes; and the
// options that are refused.
import { asMixer } from '@mnemix/layers';
import { flatten, openBackend, Rng } from '@mnemix/tensor';
import { mesaNet as oracle, type FlaConfig } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { mesaNet, type MesaNetConfig } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, headWidth: 5 };
const row = (name: string, options: Partial<MesaNetConfig> = {}, config: FlaConfig = {}): OracleCase => [
  `mesa_net, ${name}`,
  mesaNet({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is'),
  row('gate', { gate: true }, { use_output_gate: true }),
  row('wide values, two taps', { expandV: 1.4, convolution: 2 }),
  row('one head with many channels', { heads: 1, headWidth: 17 }, { num_heads: 1 }),
  row('small penalties', { lambdaLowerBound: 0.01 }, { lambda_lower_bound: 0.01 }),
  row('large penalties', { lambdaLowerBound: 0.99 }, { lambda_lower_bound: 0.99 }),
  row('as many steps as the system has unknowns', { steps: 5 }),
]);

describe('mesaNet', () => {
  it.each([0.01, 0.25, 0.9])('starts with penalties of 1 where %d bounds them', (lambdaLowerBound) => {
    const start = flatten(mesaNet({ ...size, lambdaLowerBound }).init(Rng.of(1)))[
      'lambda_params'
    ]!.dataSync();
    for (const value of start) expect(lambdaLowerBound + Math.log1p(Math.exp(value))).toBeCloseTo(1, 6);
  });

  it.each([
    ['never forgets', { 'a_proj.bias': 1e4 }],
    ['forgets at once', { 'a_proj.bias': -1e4 }],
    ['writes nothing', { 'b_proj.bias': -1e4 }],
    ['has its smallest penalties', { lambda_params: -1e4 }],
    ['has large penalties', { lambda_params: 1e6 }],
    ['is asked nothing and told nothing', { 'q_proj.weight': 0, 'k_proj.weight': 0 }],
  ])('has finite gradients where it %s', (_, constants) => {
    expectFinite(asMixer(mesaNet(size)), constants);
  });

  it.each([
    [{ steps: 0 }, /mesaNet\(steps\): it is 0/],
    [{ steps: 2.5 }, /mesaNet\(steps\): it is 2\.5/],
    [{ lambdaLowerBound: 0 }, /mesaNet\(lambdaLowerBound\): λ starts at 1, and cannot be bounded by 0/],
    [{ lambdaLowerBound: 1 }, /mesaNet\(lambdaLowerBound\): λ starts at 1, and cannot be bounded by 1/],
    [{ convolution: 0 }, /mesaNet\(convolution\): it is 0/],
    [{ expandV: 0.5 }, /mesaNet\(expandV\): 5·0\.5 = 2\.5 is not a whole number/],
    [{ headWidth: 0 }, /mesaNet\(headWidth\): it is 0/],
    [{ gate: 'silu' }, /mesaNet\(gate\): expected a boolean, found "silu"/],
    [{ expandK: 1 }, /mesaNet: expandK: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => mesaNet({ ...size, ...options } as never)).toThrow(message);
  });
});
