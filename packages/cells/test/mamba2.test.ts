// Every option of Mamba-2 against its float64 layer, its steps at the extremes, and the options that are
// refused.
import { asMixer } from '@mnemix/layers';
import { openBackend } from '@mnemix/tensor';
import { mamba2 as oracle, type FlaConfig } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { mamba2, type Mamba2Config } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 6, stateWidth: 5 };
const row = (name: string, options: Partial<Mamba2Config>, config: FlaConfig): OracleCase => [
  `mamba2, ${name}`,
  mamba2({ ...size, ...options }),
  oracle,
  config,
];

describeOracles([
  row('as it is', {}, {}),
  row('three groups', { groups: 3 }, { n_groups: 3 }),
  row('a group for each head, narrow values', { groups: 6, expand: 0.5 }, { n_groups: 6 }),
  row('two taps', { convolution: 2 }, {}),
  row('bounded steps', { dtMin: 0.5, dtMax: 0.9 }, { time_step_limit: [0.5, 0.9] }),
  row('steps bounded from above', { dtMax: 0.8 }, { time_step_limit: [0, 0.8] }),
]);

describe('mamba2', () => {
  it.each([
    ['vanish', { dt_bias: -1e4 }],
    ['are short', { dt_bias: -80 }],
    ['are long', { dt_bias: 1e4 }],
    ['close every gate', { dt_bias: 100, A_log: 5 }],
    ['close no gate', { A_log: -90 }],
  ])('has finite gradients where its steps %s', (_, constants) => {
    expectFinite(asMixer(mamba2(size)), constants);
  });

  it.each([
    [{ groups: 4 }, /mamba2\(groups\): 4 groups cannot share 6 heads evenly/],
    [{ groups: 0 }, /mamba2\(groups\): it is 0/],
    [{ heads: 5 }, /mamba2\(heads\): 5 heads do not divide the value width 24/],
    [{ expand: 0.3 }, /mamba2\(expand\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [{ stateWidth: 2.5 }, /mamba2\(stateWidth\): it is 2\.5/],
    [{ convolution: 0 }, /mamba2\(convolution\): it is 0/],
    [{ dtMin: -1 }, /mamba2\(dtMin\): dt cannot lie between -1 and Infinity/],
    [{ dtMin: 0.1, dtMax: 0.1 }, /mamba2\(dtMin\): dt cannot lie between 0\.1 and 0\.1/],
    [{ dtMax: 'long' }, /mamba2\(dtMax\): expected a number, found "long"/],
    [{ headWidth: 64 }, /mamba2: headWidth: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => mamba2({ ...size, ...options } as never)).toThrow(message);
  });
});
