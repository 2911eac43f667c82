import { closeBackend, openBackend } from '@mnemix/tensor';
import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, it } from 'vitest';
import { deltaRule, diagonalDecay, diagonalPlusLowRank } from '../../src/index.ts';
import { askOracle, runScan, scanCase } from '../scan-cases.ts';
import { deltaRuleOracle, diagonalDecayOracle, diagonalPlusLowRankOracle } from '../scan-oracles.ts';
import { expectToMatch, gates } from '../scan-suite.ts';

const shape = { batch: 2, tokens: 21, heads: 2, keyWidth: 6, valueWidth: 5 };
const segments = [
  { row: 0, start: 0, length: 19 },
  { row: 1, start: 1, length: 0 },
  { row: 1, start: 2, length: 3 },
];

describeOnWebgpu('scans in tensor ops', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(gates)('match the oracles, decay %s', async (gate) => {
    // Token by token there is little that could depend on the gate.
    for (const form of gate === 'scalar' ? (['chunk', 'recurrent'] as const) : (['chunk'] as const)) {
      const decay = scanCase({ ...shape, gate, segments });
      const options = { sequences: decay.sequences, form };
      expectToMatch(
        await runScan(decay, (x) => diagonalDecay(x, options)),
        askOracle(decay, diagonalDecayOracle),
      );

      const delta = scanCase({ ...shape, gate, beta: true });
      const dense = { sequences: delta.sequences, form };
      const wanted = askOracle(delta, (head) => deltaRuleOracle(head, false));
      expectToMatch(await runScan(delta, (x) => deltaRule(x, dense)), wanted);

      const lowRank = scanCase({ ...shape, gate, lowRank: true });
      expectToMatch(
        await runScan(lowRank, (x) => diagonalPlusLowRank(x, { sequences: lowRank.sequences, form })),
        askOracle(lowRank, diagonalPlusLowRankOracle),
      );
    }
  });
});
