// Every option of KDA and GDN-2, which share their decay, against their float64 layers; gates at the extremes;
// what is refused.
import { batchSequences } from '@mnemix/kernels';
import { asMixer, soloContext, type AnyCell } from '@mnemix/layers';
import { fill, openBackend, Rng, tidy, type Tensor2D, type Tensor3D } from '@mnemix/tensor';
import { gdn2 as gdn2Oracle, kda as kdaOracle, type FlaConfig } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { gatedDeltaNet2, kda, type GatedDeltaNet2Config, type KdaConfig } from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2, headWidth: 5 };
const ofKda = (name: string, options: Partial<KdaConfig>, config: FlaConfig): OracleCase => [
  `kda, ${name}`,
  kda({ ...size, ...options }),
  kdaOracle,
  { num_heads: 2, ...config },
];
const ofGdn2 = (name: string, options: Partial<GatedDeltaNet2Config>, config: FlaConfig): OracleCase => [
  `gdn2, ${name}`,
  gatedDeltaNet2({ ...size, ...options }),
  gdn2Oracle,
  { num_heads: 2, ...config },
];

describeOracles([
  ofKda('as it is', {}, {}),
  ofKda('more and narrower value heads', { valueHeads: 6, expandV: 3 / 5 }, { num_v_heads: 6 }),
  ofKda('wide values', { expandV: 7 / 5 }, {}),
  ofKda('no convolution', { convolution: 0 }, {}),
  ofKda('two taps', { convolution: 2 }, {}),
  ofKda('negative eigenvalues', { negativeEigenvalues: true }, { allow_neg_eigval: true }),
  ofKda('safe gate', { safeGate: true }, { safe_gate: true }),
  ofKda(
    'safe gate of its own bound, more value heads',
    { safeGate: true, lowerBound: -0.7, valueHeads: 4 },
    { safe_gate: true, lower_bound: -0.7, num_v_heads: 4 },
  ),
  ofGdn2('as it is', {}, {}),
  ofGdn2('more and wider value heads', { valueHeads: 4, expandV: 7 / 5 }, { num_v_heads: 4 }),
  ofGdn2('no convolution', { convolution: 0 }, {}),
  ofGdn2('negative eigenvalues', { negativeEigenvalues: true }, { allow_neg_eigval: true }),
  ofGdn2('safe gate', { safeGate: true }, { safe_gate: true }),
  ofGdn2(
    'safe gate of its own bound, more value heads',
    { safeGate: true, lowerBound: -2, valueHeads: 4 },
    { safe_gate: true, gate_lower_bound: -2, num_v_heads: 4 },
  ),
]);

const families: (readonly [name: string, create: (options: KdaConfig) => AnyCell])[] = [
  ['kda', kda],
  ['gatedDeltaNet2', gatedDeltaNet2],
];

describe.each(families)('%s', (name, create) => {
  it.each([
    ['open', { dt_bias: -1e4 }],
    ['close', { dt_bias: 1e4 }],
    ['close at the fastest rate', { dt_bias: 100, A_log: 5 }],
    ['open at the slowest rate', { A_log: -90 }],
    ['are steep', { 'f_proj.0.weight': 1e3, 'f_proj.1.weight': 1e3 }],
    ['are steep the other way', { 'f_proj.0.weight': 1e3, 'f_proj.1.weight': -1e3 }],
    ['write all or nothing', { 'b_proj.weight': 1e4 }],
  ])('has finite gradients where its gates %s', (_, constants) => {
    for (const safeGate of [false, true])
      expectFinite(asMixer(create({ ...size, safeGate })), constants as Record<string, number>);
  });

  it('never decays faster than its bound', () => {
    tidy(() => {
      const cell = create({ ...size, safeGate: true, lowerBound: -0.5 });
      const params = { ...cell.init(Rng.of(1)), dt_bias: fill([10], 1e4) };
      const x = Rng.of(2).normal([6, 12]) as Tensor2D;
      const { logDecay } = cell.project(params, soloContext(x, batchSequences(2, 3), undefined));
      expect(Array.from((logDecay as Tensor3D).dataSync())).toEqual(Array(60).fill(-0.5));
    });
  });

  it('starts with longer memories where the initial decay is smaller', () => {
    tidy(() => {
      const rates = (options: object) =>
        Array.from(
          create({ ...size, ...options })
            .init(Rng.of(1))
            .A_log.dataSync() as Float32Array,
          Math.exp,
        );
      for (const rate of rates({})) expect(rate > 1 && rate < 16).toBe(true);
      for (const rate of rates({ initialDecay: 1 })) expect(rate > 1 / 16 && rate < 1).toBe(true);
      expect(rates({ safeGate: true })).toEqual([1, 1]);
    });
  });

  it.each([
    [{ valueHeads: 3 }, /\(valueHeads\): 3 value heads cannot share 2 key heads evenly/],
    [{ valueHeads: 0 }, /\(valueHeads\): it is 0/],
    [{ expandV: 0.5 }, /\(expandV\): 5·0\.5 = 2\.5 is not a whole number/],
    [{ headWidth: 2.5 }, /\(headWidth\): it is 2\.5/],
    [{ convolution: -1 }, /\(convolution\): it is -1/],
    [{ lowerBound: -5 }, /\(lowerBound\): the gate is not bounded.*safeGate: true/s],
    [{ safeGate: true, lowerBound: 0 }, /\(lowerBound\): a decay of at least e\^0 does not forget/],
    [{ safeGate: true, initialDecay: 1 }, /\(initialDecay\): a bounded gate starts with A_log = 0/],
    [{ initialDecay: 0 }, /\(initialDecay\): it is 0/],
    [{ safeGate: -5 }, /\(safeGate\): expected a boolean, found -5/],
    [{ gate: false }, /: gate: unknown key/],
  ])('refuses %o by name', (options, message) => {
    const attempt = () => create({ ...size, ...options } as never);
    expect(attempt).toThrow(message);
    expect(attempt).toThrow(name);
  });
});
