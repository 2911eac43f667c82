import { openBackend, tensor } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { diagonalDecay, uniformSequences } from '../src/index.ts';
import { runScan } from './scan-cases.ts';
import { diagonalDecayOracle } from './scan-oracles.ts';
import { describeScan, expectToMatch, gates, variants, withOracle, type ScanEngine } from './scan-suite.ts';

const engine: ScanEngine = {
  name: 'diagonalDecay',
  op: diagonalDecay,
  oracle: diagonalDecayOracle,
  draws: {},
  golden: [
    { entry: 'plain', gate: 'none' },
    { entry: 'plain', gate: 'vector' },
    { entry: 'scalar', gate: 'scalar' },
    { entry: 'scalar', gate: 'vector' },
    { entry: 'vector', gate: 'vector' },
    { entry: 'rwkv6', gate: 'vector' },
  ],
  goldenNames: { g: 'logDecay', u: 'bonus', S0: 'initialState' },
};

describeScan(engine);
const known = withOracle(engine);

describe.each(variants)('diagonalDecay with a bonus, $backend, form $form', ({ backend, form }) => {
  beforeAll(() => openBackend(backend));

  it('reads before the update and adds the weighted write of the token', async () => {
    for (const gate of gates) {
      const { scan, wanted } = known({
        batch: 2,
        tokens: 41,
        heads: 2,
        keyWidth: 6,
        valueWidth: 18,
        gate,
        bonus: true,
      });
      const options = { sequences: scan.sequences, form };
      expectToMatch(await runScan(scan, (inputs) => diagonalDecay(inputs, options)), wanted);
    }
  });
});

it('reads with dk^-1/2 unless told otherwise', async () => {
  await openBackend('wasm');
  const ones = tensor([1, 1, 1, 1], [1, 1, 4]);
  const read = async (scale?: number) => {
    const { o } = diagonalDecay({ q: ones, k: ones, v: ones }, { sequences: uniformSequences(1, 1), scale });
    return Array.from(await o.data());
  };
  expect(await read()).toEqual([2, 2, 2, 2]);
  expect(await read(1)).toEqual([4, 4, 4, 4]);
});
