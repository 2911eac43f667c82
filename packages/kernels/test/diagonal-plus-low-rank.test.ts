import { exp, expandDims, mul, neg, openBackend, type Tensor } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { diagonalPlusLowRank, uniformSequences } from '../src/index.ts';
import { toTensor, type Tensors } from './op-cases.ts';
import { parallelDraws, runScan, scanCase } from './scan-cases.ts';
import { deltaRuleOracle, diagonalPlusLowRankOracle } from './scan-oracles.ts';
import { describeScan, expectToMatch, gates, variants, withOracle, type ScanEngine } from './scan-suite.ts';

const engine: ScanEngine = {
  name: 'diagonalPlusLowRank',
  op: diagonalPlusLowRank,
  oracle: diagonalPlusLowRankOracle,
  draws: { lowRank: true },
  golden: [{ entry: 'dplr', gate: 'vector' }],
  goldenNames: { g: 'logDecay', S0: 'initialState' },
};

describeScan(engine);
const known = withOracle(engine);
const knownDelta = withOracle({ ...engine, oracle: deltaRuleOracle, draws: { beta: true } });

/** The delta rule by this op, for gradients of its own inputs. */
function asDeltaRule({ q, k, v, beta, logDecay, initialState }: Tensors) {
  const write = mul(k!, expandDims(beta!, 2));
  const decay = logDecay && exp(logDecay.rank === 3 ? logDecay : expandDims(logDecay, 2));
  const a = neg(decay ? mul(k!, decay) : k!);
  return { q: q!, k: write, v: v!, a, b: write, logDecay, initialState };
}

describe.each(variants)('diagonalPlusLowRank, $backend, form $form', ({ backend, form }) => {
  beforeAll(() => openBackend(backend));

  it.each(gates)('takes more value channels than a tile has (decay %s)', async (gate) => {
    const shape = { batch: 1, tokens: 41, heads: 2, keyWidth: 6, valueWidth: 18 };
    const { scan, wanted } = known({ ...shape, gate });
    const options = { sequences: scan.sequences, form };
    expectToMatch(await runScan(scan, (inputs) => diagonalPlusLowRank(inputs, options)), wanted);
  });

  it('keeps its digits where keys are nearly parallel and α as large as the memory bears', async () => {
    for (const draw of parallelDraws) {
      const { scan, wanted } = known(draw);
      const options = { sequences: scan.sequences, form };
      expectToMatch(await runScan(scan, (inputs) => diagonalPlusLowRank(inputs, options)), wanted);
    }
  });

  it('is the delta rule where a = −e^g k and b = βk, also for parallel keys and β near 2', async () => {
    const shape = { batch: 1, tokens: 75, heads: 1, keyWidth: 16, valueWidth: 8, keyCorrelation: 0.99 };
    for (const gate of gates) {
      const { scan, wanted } = knownDelta({ ...shape, gate, betaScale: 1.99 });
      const options = { sequences: scan.sequences, form };
      const delta = (inputs: Tensors) => diagonalPlusLowRank(asDeltaRule(inputs), options);
      expectToMatch(await runScan(scan, delta), wanted);
    }
  });
});

it('names a and b where their shapes are wrong', async () => {
  await openBackend('cpu');
  const { inputs } = scanCase({ batch: 1, tokens: 3, heads: 1, keyWidth: 4, valueWidth: 2, lowRank: true });
  const given = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, toTensor(x)]));
  const call = (wrong: Record<string, Tensor>) =>
    diagonalPlusLowRank({ ...given, ...wrong } as never, { sequences: uniformSequences(1, 3) });
  expect(() => call({ a: given['v']! })).toThrow('diagonalPlusLowRank(a)');
  expect(() => call({ b: given['v']! })).toThrow('diagonalPlusLowRank(b)');
});
