// Every option of Lightning attention against its float64 layer, and the options that are refused.
import { flatten, openBackend, Rng, tidy } from '@mnemix/tensor';
import { lightning as oracle } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { lightning, type LightningConfig } from '../src/index.ts';
import { describeOracles, type OracleCase } from './oracle-suite.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const size = { width: 12, heads: 2 };
const deep = { layer: 2, layers: 5 };
const flaDeep = { layer_idx: 2, num_hidden_layers: 5 };
const row = (name: string, options: Partial<LightningConfig>, config: object): OracleCase => [
  `lightning, ${name}`,
  lightning({ ...size, ...options }),
  oracle,
  { num_heads: options.heads ?? size.heads, ...config },
];

describeOracles([
  row('alone', {}, {}),
  row('in the middle of a model', deep, flaDeep),
  row("ALiBi's slopes, three heads", { heads: 3, slopes: 'alibi', ...deep }, { slopes: 'alibi', ...flaDeep }),
  row('gate', { gate: true }, { use_output_gate: true }),
  row('elu', { activation: 'elu' }, { qk_activation: 'elu' }),
  row('relu', { activation: 'relu' }, { qk_activation: 'relu' }),
  row('identity', { activation: 'identity' }, { qk_activation: 'identity' }),
  row('three taps', { convolution: 3 }, {}),
  row('three taps, identity', { convolution: 3, activation: 'identity' }, { qk_activation: 'identity' }),
  row('narrow keys, wide values', { expandK: 0.5, expandV: 1.5 }, {}),
]);

describe('lightning', () => {
  it.each([
    [{ layer: 0, layers: 4 }, [0, 2, 4, 6]],
    [{ layer: 3, layers: 4 }, [0, 0.5, 1, 1.5]],
    [{ slopes: 'alibi', layer: 3, layers: 4 }, [1 / 4, 1 / 16, 1 / 64, 1 / 256]],
  ] as const)('forgets by head and layer where its options are %o', (options, slopes) => {
    tidy(() => {
      const cell = lightning({ width: 8, heads: 4, ...options });
      const rows = Rng.of(1).normal([1, 8]);
      const sequences = { rows: 1 } as never;
      const inputs = cell.project(cell.init(Rng.of(2)), {
        rows,
        sequences,
        commonLinear: () => rows,
        linear: () => rows,
        linears: ((layers: object) =>
          Object.fromEntries(Object.keys(layers).map((name) => [name, rows]))) as never,
      } as never) as { logDecay: Parameters<typeof flatten>[0] };
      const [decay] = Object.values(flatten(inputs.logDecay));
      expect(decay).toBeCloseRms(
        slopes.map((slope) => -slope),
        1e-6,
      );
    });
  });

  it.each([
    [{ slopes: 'constant' }, /lightning\(slopes\): there is no "constant".*fla, alibi/],
    [{ layer: 2, layers: 2 }, /lightning\(layer\): there is no layer 2 among 2/],
    [{ layer: -1 }, /lightning\(layer\): it is -1/],
    [{ layers: 0 }, /lightning\(layers\): it is 0/],
    [{ activation: 'gelu' }, /lightning\(activation\): there is no "gelu"/],
    [{ expandK: 0.3 }, /lightning\(expandK\): 12·0\.3 = 3\.5999\d+ is not a whole number/],
    [{ heads: 5 }, /lightning\(heads\): 5 heads do not divide/],
    [{ convolution: 1.5 }, /lightning\(convolution\): it is 1\.5/],
    [{ decay: 1 }, /lightning: decay: unknown key/],
  ])('refuses %o by name', (options, message) => {
    expect(() => lightning({ ...size, ...options } as never)).toThrow(message);
  });
});
