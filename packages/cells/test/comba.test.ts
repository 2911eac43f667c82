// Every option of Comba against its float64 layer, gates at the extremes, and what is refused.
import { asMixer } from '@mnemix/layers';
import { openBackend, Rng, tidy } from '@mnemix/tensor';
import { comba as oracle, type FlaConfig } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { comba, type CombaConfig } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, headWidth: 5 };
const row = (name: string, options: Partial<CombaConfig>, config: FlaConfig): OracleCase => [
  `comba, ${name}`,
  comba({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is', {}, {}),
  row('more and narrower value heads', { valueHeads: 6, expandV: 3 / 5 }, { num_v_heads: 6 }),
  row('no convolution', { convolution: 0 }, {}),
  row('two taps', { convolution: 2 }, {}),
  row('no gate', { gate: false }, { use_output_gate: false }),
  row('no inner decay', { innerDecay: false }, { use_inner_decay: false }),
  row('another correction', { correction: 0.02 }, {}),
  row(
    'neither inner decay nor output correction',
    { innerDecay: false, outputCorrection: false },
    { use_inner_decay: false, use_output_correction: false },
  ),
  row('no output correction', { outputCorrection: false }, { use_output_correction: false }),
]);

describe('comba', () => {
  it('corrects its queries from the start, by as much as it is told', () => {
    tidy(() => {
      const start = (options: Partial<CombaConfig>) => comba({ ...size, ...options }).init(Rng.of(1)).D;
      expect(Array.from(start({})!.dataSync())).toEqual([1, 1]);
      expect(Array.from(start({ correction: 0.25 })!.dataSync())).toEqual([0.25, 0.25]);
      expect(start({ outputCorrection: false })).toBeUndefined();
    });
  });

  it.each([
    ['open', { dt_bias: -1e4 }],
    ['close', { dt_bias: 1e4 }],
    ['close at the fastest rate', { dt_bias: 100, A_log: 5 }],
    ['open at the slowest rate', { A_log: -90 }],
    ['are steep', { 'a_proj.weight': 1e4, 'b_proj.weight': 1e4 }],
    ['leave nothing of the inner key', { decay: -1e4 }],
    ['leave all of the inner key', { decay: 1e4 }],
    ['correct by far too much', { D: 1e6 }],
  ])('has finite gradients where its gates %s', (_, constants) => {
    expectFinite(asMixer(comba(size)), constants as Record<string, number>);
  });

  it.each([
    [{ valueHeads: 3 }, /comba\(valueHeads\): 3 value heads cannot share 2 key heads evenly/],
    [{ expandV: 0.5 }, /comba\(expandV\): 5·0\.5 = 2\.5 is not a whole number/],
    [{ convolution: 1.5 }, /comba\(convolution\): it is 1\.5/],
    [{ correction: 0.02, outputCorrection: false }, /comba\(correction\): queries are not corrected/],
    [{ correction: 'some' }, /comba\(correction\): expected a number, found "some"/],
    [{ innerDecay: 1 }, /comba\(innerDecay\): expected a boolean, found 1/],
    [{ negativeEigenvalues: true }, /comba: negativeEigenvalues: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => comba({ ...size, ...options } as never)).toThrow(message);
  });
});
