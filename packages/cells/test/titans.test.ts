// Every option of Titans against its float64 layer, its gates at the extremes, and the options that are
// refused.
import { asMixer, type Mixer } from '@mnemix/layers';
import { openBackend } from '@mnemix/tensor';
import { titansCell as oracle } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { titans, type TitansConfig } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2 };
const row = (name: string, options: Partial<TitansConfig>, config: object = {}): OracleCase => [
  `titans, ${name}`,
  titans({ ...size, ...options }),
  oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  row('as it is', {}),
  row('no momentum', { momentum: false }),
  row('no momentum, chunks of three', { momentum: false, chunkSize: 3 }, { chunk_size: 3 }),
  row('a gradient for every token', { chunkSize: 1 }, { chunk_size: 1 }),
  row('chunks of four', { chunkSize: 4 }, { chunk_size: 4 }),
  row('chunks that end with the state', { chunkSize: 6 }, { chunk_size: 6 }),
  row('no convolution', { convolution: 0 }),
  row('two taps', { convolution: 2 }),
  row('no gate', { gate: false }),
  row('wide heads', { expandK: 1.5, expandV: 1.5 }),
]);

describe('titans', () => {
  it.each([-1e4, -80, 80, 1e4])('has finite gradients where its gates are at σ(%d)', (logit) => {
    const gates = ['alpha_proj.bias', 'theta_proj.bias', 'eta_proj.bias'];
    for (const momentum of [true, false]) {
      const mixer = asMixer(titans({ ...size, momentum })) as Mixer;
      const own = momentum ? gates : gates.slice(0, 2);
      for (const gate of own) expectFinite(mixer, { [gate]: logit });
      expectFinite(mixer, Object.fromEntries(own.map((gate) => [gate, logit])));
    }
  });

  it('has finite gradients where its memory is empty', () => {
    expectFinite(asMixer(titans(size)) as Mixer, { M0: 0 });
  });

  it('without momentum has neither its gate nor its state', () => {
    const cell = titans({ ...size, momentum: false });
    expect(cell.perMemory).not.toContain('eta_proj');
    expect(Object.keys(cell.stateShape(1))).toEqual(['memory', 'anchor', 'phase', 'windows']);
  });

  it.each([
    [{ expandV: 2 }, /titans\(expandV\): values are 12 wide in a head and keys 6/],
    [{ expandK: 0.3 }, /titans\(expandK\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [{ heads: 5 }, /titans\(heads\): 5 heads do not divide/],
    [{ chunkSize: 0 }, /titans\(chunkSize\): it is 0/],
    [{ chunkSize: 2.5 }, /titans\(chunkSize\): it is 2\.5/],
    [{ convolution: -1 }, /titans\(convolution\): it is -1/],
    [{ momentum: 0.9 }, /titans\(momentum\): expected a boolean, found 0\.9/],
    [{ miniBatch: 16 }, /titans: miniBatch: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => titans({ ...size, ...options } as never)).toThrow(message);
  });
});
