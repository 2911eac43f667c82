import { centralDifferences, nd, type NdArray } from '@mnemix/testkit';
import { openBackend, tensor, zeros } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { uniformSequences, valueDecay } from '../src/index.ts';
import { askOracle, runScan, scanCase } from './scan-cases.ts';
import { describeScan, expectToMatch, variants, withOracle, type ScanEngine } from './scan-suite.ts';
import { valueDecayForward, valueDecayOracle } from './value-decay-oracle.ts';

const engine: ScanEngine = {
  name: 'valueDecay',
  op: valueDecay,
  oracle: valueDecayOracle,
  draws: { gate: 'value' },
  gates: ['value'],
  golden: [],
  goldenNames: {},
};

describeScan(engine);
const known = withOracle(engine);

describe.each(variants)('valueDecay, $backend, form $form', ({ backend, form }) => {
  beforeAll(() => openBackend(backend));

  it('leaves of a token behind closed gates its own write, and lets no gradient through them', async () => {
    const shape = { batch: 2, tokens: 37, heads: 2, keyWidth: 6, valueWidth: 5 };
    const { scan, wanted } = known({ ...shape, gateOf: () => -1e4 });
    const result = await runScan(scan, (x) => valueDecay(x, { sequences: scan.sequences, form }));
    expectToMatch(result, wanted);
    const { q, k, v } = scan.inputs as Record<string, NdArray>;
    const own = result.o.data.map((_, i) => {
      const row = Math.floor(i / shape.valueWidth) * shape.keyWidth;
      const products = Array.from(
        { length: shape.keyWidth },
        (_, c) => q!.data[row + c]! * k!.data[row + c]!,
      );
      return products.reduce((a, b) => a + b) * shape.keyWidth ** -0.5 * v!.data[i]!;
    });
    expect(result.o).toBeCloseRms(nd(result.o.shape, own), 1e-5);
    expect(result.gradients['initialState']!.data.every((value) => value === 0)).toBe(true);
  });

  it('matches the oracle where gates close for whole stretches of tokens', async () => {
    const shape = { batch: 1, tokens: 75, heads: 2, keyWidth: 6, valueWidth: 5 };
    const closed = (drawn: number, index: number) => (Math.floor(index / 10) % 20 < 5 ? -1e4 : drawn);
    const { scan, wanted } = known({ ...shape, gateOf: closed });
    expectToMatch(await runScan(scan, (x) => valueDecay(x, { sequences: scan.sequences, form })), wanted);
  });

  it('matches the oracle where there are more value channels than a tile has, or a single one', async () => {
    for (const valueWidth of [1, 16, 37]) {
      const { scan, wanted } = known({ batch: 1, tokens: 41, heads: 2, keyWidth: 3, valueWidth });
      expectToMatch(await runScan(scan, (x) => valueDecay(x, { sequences: scan.sequences, form })), wanted);
    }
  });
});

it('has an oracle whose gradients are central differences', () => {
  const scan = scanCase({ batch: 2, tokens: 5, heads: 2, keyWidth: 3, valueWidth: 2, gate: 'value' });
  const weigh = (x: NdArray, weights: NdArray) => x.data.reduce((sum, y, i) => sum + y * weights.data[i]!, 0);
  const { gradients } = askOracle(scan, (head) => {
    const value = (inputs: Record<string, NdArray>) => {
      const { o, states } = valueDecayForward(inputs);
      return weigh(o, head.dO) + weigh(states.at(-1)!, head.dState);
    };
    const result = valueDecayOracle(head);
    const differences = centralDifferences(value, head.inputs);
    for (const [name, wanted] of Object.entries(differences)) {
      expect(result.gradients[name], name).toBeCloseRms(wanted, 1e-7);
    }
    return result;
  });
  expect(Object.keys(gradients)).toEqual(Object.keys(scan.inputs));
});

it('reads with dk^-1/2 unless told otherwise', async () => {
  await openBackend('wasm');
  const ones = tensor([1, 1, 1, 1], [1, 1, 4]);
  const inputs = { q: ones, k: ones, v: ones, logDecay: zeros([1, 1, 4]) };
  const read = async (scale?: number) => {
    const { o } = valueDecay(inputs, { sequences: uniformSequences(1, 1), scale });
    return Array.from(await o.data());
  };
  expect(await read()).toEqual([2, 2, 2, 2]);
  expect(await read(1)).toEqual([4, 4, 4, 4]);
});
