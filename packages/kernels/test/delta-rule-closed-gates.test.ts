// Erasing before the decay: the first token behind a closed gate still erases what stood before it.
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { deltaRule } from '../src/index.ts';
import { runScan } from './scan-cases.ts';
import { deltaRuleOracle } from './scan-oracles.ts';
import { expectToMatch, variants, withOracle } from './scan-suite.ts';

const known = withOracle({
  name: 'deltaRule',
  op: deltaRule,
  oracle: deltaRuleOracle,
  draws: { beta: true },
  golden: [],
  goldenNames: {},
});
const shape = { batch: 2, tokens: 37, heads: 2, keyWidth: 6, valueWidth: 5, erase: true };

describe.each(variants)('deltaRule with eraseBeforeDecay, $backend, form $form', ({ backend, form }) => {
  beforeAll(() => openBackend(backend));

  it.each(['scalar', 'vector'] as const)('gives closed gates no gradient (%s)', async (gate) => {
    for (const erase of [false, true]) {
      for (const chunkSize of [1, 16, 64]) {
        const { scan, wanted } = known({ ...shape, erase, gate, gateOf: () => -1e4 }, true);
        const { sequences } = scan;
        const result = await runScan(scan, (inputs) =>
          deltaRule(inputs, { sequences, form, chunkSize, eraseBeforeDecay: true }),
        );
        expectToMatch(result, wanted);
        expect(result.gradients['logDecay']!.data.every((value) => value === 0)).toBe(true);
      }
    }
  });

  it.each(['scalar', 'vector'] as const)('takes closed gates next to open ones (%s)', async (gate) => {
    const gateOf = (drawn: number, index: number) => (index % 5 === 1 ? -1e4 : index % 7 === 3 ? 0 : drawn);
    for (const chunkSize of [1, 16, 64]) {
      const { scan, wanted } = known({ ...shape, gate, gateOf }, true);
      const { sequences } = scan;
      const result = await runScan(scan, (inputs) =>
        deltaRule(inputs, { sequences, form, chunkSize, eraseBeforeDecay: true }),
      );
      expectToMatch(result, wanted);
    }
  });
});
