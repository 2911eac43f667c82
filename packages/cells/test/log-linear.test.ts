// Every option of the log-linear cells against their float64 layers, what their levels mean, their gates at
// the extremes, and the options that are refused.
import { asMixer, type AnyCell } from '@mnemix/layers';
import { flatten, mapTree, openBackend, Rng, slice, sum, tidy, type Tensor3D } from '@mnemix/tensor';
import { logLinearGdn as gdnOracle, logLinearMamba2 as mamba2Oracle, type FlaConfig } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  gatedDeltaNet,
  logLinearGdn,
  logLinearMamba2,
  mamba2,
  type LogLinearGdnConfig,
  type LogLinearMamba2Config,
} from '../src/index.ts';
import { expectFinite } from './extremes.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const ofMamba2 = { width: 12, heads: 6, stateWidth: 5, levels: 6 };
const ofGdn = { width: 12, heads: 2, headWidth: 5, expandV: 1, levels: 6 };

const mamba2Row = (
  name: string,
  options: Partial<LogLinearMamba2Config> = {},
  config: FlaConfig = {},
): OracleCase => [
  `log_linear_mamba2, ${name}`,
  logLinearMamba2({ ...ofMamba2, ...options }),
  mamba2Oracle,
  config,
];

const gdnRow = (
  name: string,
  options: Partial<LogLinearGdnConfig> = {},
  config: FlaConfig = {},
): OracleCase => [
  `log_linear_gdn, ${name}`,
  logLinearGdn({ ...ofGdn, ...options }),
  gdnOracle,
  { num_heads: 2, ...config },
];

describeOracles([
  mamba2Row('as it is'),
  mamba2Row('as many levels as 2048 tokens have', { levels: undefined }),
  mamba2Row('one level', { levels: 1 }),
  mamba2Row('three levels, of which the last takes all that is older', { levels: 3 }),
  mamba2Row('three groups', { groups: 3 }, { n_groups: 3 }),
  mamba2Row('two taps, narrow values', { convolution: 2, expand: 0.5 }),
  mamba2Row('bounded steps', { dtMin: 0.5, dtMax: 0.9 }, { time_step_limit: [0.5, 0.9] }),
  gdnRow('as it is'),
  gdnRow('as many levels as 2048 tokens have', { levels: undefined }),
  gdnRow('one level', { levels: 1 }),
  gdnRow('three levels, of which the last takes all that is older', { levels: 3 }),
  gdnRow('more value heads', { valueHeads: 4 }, { num_v_heads: 4 }),
  gdnRow('negative eigenvalues', { negativeEigenvalues: true }, { allow_neg_eigval: true }),
  gdnRow(
    'no gate, two taps, wide values',
    { gate: false, convolution: 2, expandV: 1.4 },
    { use_gate: false },
  ),
]);

describe.each([
  ['log_linear_mamba2', logLinearMamba2(ofMamba2), mamba2(withoutLevels(ofMamba2))],
  ['log_linear_gdn', logLinearGdn(ofGdn), gatedDeltaNet(withoutLevels(ofGdn))],
] as const satisfies readonly (readonly [string, AnyCell, AnyCell])[])(
  '%s',
  (_, cell: AnyCell, plain: AnyCell) => {
    it('holds on its levels together what the cell that it is made of holds', () => {
      tidy(() => {
        const params = asMixer(cell).init(Rng.of(1));
        const values = flatten(params);
        // The further outputs of in_proj lie behind the others.
        const own = mapTree(plain.init(Rng.of(1)), ({ shape }, path) =>
          slice(
            values[path]!,
            shape.map(() => 0),
            shape,
          ),
        );
        const x = Rng.of(2).normal([2, 21, 12]) as Tensor3D;
        const { memory, position } = asMixer(cell).forward(params, x).state;
        const wanted = asMixer(plain).forward(own, x).state.memory;
        expect(sum(memory, 2)).toBeCloseRms(wanted, 1e-5);
        expect(Array.from(position.dataSync())).toEqual([21, 21]);
      });
    });

    it.each([
      ['reads no level', { L: 1e4 }],
      ['reads every level alike', { L: 0 }],
      ['forgets at once', { dt_bias: 1e4 }],
      ['never forgets', { A_log: -90 }],
    ])('has finite gradients where it %s', (__, constants) => {
      expectFinite(asMixer(cell), constants);
    });
  },
);

describe('the log-linear cells', () => {
  it.each([
    [logLinearMamba2, ofMamba2, { levels: 0 }, /logLinearMamba2\(levels\): it is 0/],
    [logLinearMamba2, ofMamba2, { levels: 25 }, /logLinearMamba2\(levels\): 25 levels are more than/],
    [
      logLinearMamba2,
      ofMamba2,
      { levels: 'many' },
      /logLinearMamba2\(levels\): expected a number, found "many"/,
    ],
    [logLinearMamba2, ofMamba2, { groups: 4 }, /logLinearMamba2\(groups\): 4 groups cannot share 6 heads/],
    [logLinearMamba2, ofMamba2, { heads: 5 }, /logLinearMamba2\(heads\): 5 heads do not divide/],
    [logLinearMamba2, ofMamba2, { expand: 0.3 }, /logLinearMamba2\(expand\): 12·0\.3 = 3\.5999/],
    [logLinearMamba2, ofMamba2, { dtMin: -1 }, /logLinearMamba2\(dtMin\): dt cannot lie between -1 and/],
    [logLinearMamba2, ofMamba2, { headWidth: 4 }, /logLinearMamba2: headWidth: unknown key.*levels/],
    [logLinearGdn, ofGdn, { levels: 1.5 }, /logLinearGdn\(levels\): it is 1\.5/],
    [logLinearGdn, ofGdn, { levels: 40 }, /logLinearGdn\(levels\): 40 levels.*at most 24.*8388608 tokens/],
    [logLinearGdn, ofGdn, { valueHeads: 3 }, /logLinearGdn\(valueHeads\): 3 value heads cannot share 2/],
    [logLinearGdn, ofGdn, { convolution: 0 }, /logLinearGdn\(convolution\): it is 0/],
    [logLinearGdn, ofGdn, { expandV: 0.5 }, /logLinearGdn\(expandV\): 5·0\.5 = 2\.5 is not a whole number/],
    [logLinearGdn, ofGdn, { stateWidth: 4 }, /logLinearGdn: stateWidth: unknown key.*levels/],
  ] as const)('refuse impossible options by name, %#', (create, size, options, message) => {
    expect(() => create({ ...size, ...options } as never)).toThrow(message);
  });
});

function withoutLevels<T extends { levels: number }>({ levels: _, ...rest }: T): Omit<T, 'levels'> {
  return rest;
}
