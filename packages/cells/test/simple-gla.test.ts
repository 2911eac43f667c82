// Every option of simple GLA against its float64 layer, its gate at the extremes, and the options that are
// refused.
import { asMixer } from '@mnemix/layers';
import { openBackend } from '@mnemix/tensor';
import { simpleGla as oracle } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { simpleGla, type SimpleGlaConfig } from '../src/index.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';
import { expectFinite } from './extremes.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2 };
const row = (name: string, options: Partial<SimpleGlaConfig>, config: object): OracleCase => [
  `simple_gla, ${name}`,
  simpleGla({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('no convolution', { convolution: 0 }, {}),
  row('two taps', { convolution: 2 }, {}),
  row('no gate', { gate: false }, { use_output_gate: false }),
  row('short memory', { gateNormalizer: 1 }, { gate_logit_normalizer: 1 }),
  row('silu', { activation: 'silu' }, { feature_map: 'silu' }),
  row('elu, no convolution', { activation: 'elu', convolution: 0 }, { feature_map: 'elu' }),
  row('relu', { activation: 'relu' }, { feature_map: 'relu' }),
  row('narrow keys, wide values', { expandK: 0.5, expandV: 1.5 }, {}),
]);

describe('simple_gla', () => {
  it.each([-1e6, -100, 100, 1e6])('has finite gradients where its gates are at σ(%d)', (logit) => {
    expectFinite(asMixer(simpleGla({ ...size, gateNormalizer: 1 })), { 'gk_proj.bias': logit });
  });

  it.each([
    [{ gateNormalizer: 0 }, /simpleGla\(gateNormalizer\): a temperature of 0/],
    [{ gateNormalizer: -1 }, /simpleGla\(gateNormalizer\): a temperature of -1/],
    [{ activation: 'gelu' }, /simpleGla\(activation\): there is no "gelu"/],
    [{ convolution: -1 }, /simpleGla\(convolution\): it is -1/],
    [{ heads: 5 }, /simpleGla\(heads\): 5 heads do not divide/],
    [{ gateRank: 16 }, /simpleGla: gateRank: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => simpleGla({ ...size, ...options } as never)).toThrow(message);
  });
});
