import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, it } from 'vitest';
import { deltaRule } from '../src/index.ts';
import { runScan, type ScanCase } from './scan-cases.ts';
import { deltaRuleOracle } from './scan-oracles.ts';
import { describeScan, expectToMatch, gates, variants, withOracle, type ScanEngine } from './scan-suite.ts';

const engine: ScanEngine = {
  name: 'deltaRule',
  op: deltaRule,
  oracle: deltaRuleOracle,
  draws: { beta: true },
  golden: [
    { entry: 'delta', gate: 'none' },
    { entry: 'delta', gate: 'vector' },
    { entry: 'gdelta', gate: 'scalar' },
    { entry: 'gdelta', gate: 'vector' },
    { entry: 'kda', gate: 'vector' },
    { entry: 'gdn2', gate: 'vector' },
    { entry: 'comba', gate: 'scalar' },
    { entry: 'comba', gate: 'vector' },
  ],
  goldenNames: { g: 'logDecay', y: 'v', e: 'erase', S0: 'initialState' },
};

describeScan(engine);
const known = withOracle(engine);

describe.each(variants)('deltaRule, $backend, form $form', ({ backend, form }) => {
  beforeAll(() => openBackend(backend));
  const run = (scan: ScanCase, eraseBeforeDecay = false) =>
    runScan(scan, (inputs) => deltaRule(inputs, { sequences: scan.sequences, form, eraseBeforeDecay }));

  it.each(gates)('erases with keys of its own, before or after the decay (%s)', async (gate) => {
    for (const beta of [false, true]) {
      for (const eraseBeforeDecay of [false, true]) {
        const options = {
          batch: 1,
          tokens: 41,
          heads: 2,
          keyWidth: 6,
          valueWidth: 18,
          gate,
          beta,
          erase: true,
        };
        const { scan, wanted } = known(options, eraseBeforeDecay);
        expectToMatch(await run(scan, eraseBeforeDecay), wanted);
      }
    }
  });

  it('keeps its digits where keys are nearly parallel and β approaches 2', async () => {
    for (const gate of ['none', 'scalar'] as const) {
      const { scan, wanted } = known({
        batch: 1,
        tokens: 130,
        heads: 1,
        keyWidth: 16,
        valueWidth: 8,
        gate,
        keyCorrelation: 0.99,
        betaScale: 1.99,
      });
      expectToMatch(await run(scan), wanted);
    }
  });
});
