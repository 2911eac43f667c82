import { closeBackend, openBackend } from '@mnemix/tensor';
import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, it } from 'vitest';
import { valueDecay } from '../../src/index.ts';
import { askOracle, runScan, scanCase } from '../scan-cases.ts';
import { expectToMatch } from '../scan-suite.ts';
import { valueDecayOracle } from '../value-decay-oracle.ts';

const shape = { batch: 2, tokens: 37, heads: 2, keyWidth: 6, valueWidth: 5, gate: 'value' } as const;
const segments = [
  { row: 0, start: 0, length: 35 },
  { row: 1, start: 1, length: 0 },
  { row: 1, start: 2, length: 3 },
];
const mixedGates = (drawn: number, index: number) => (index % 5 === 1 ? -1e4 : drawn);

describeOnWebgpu('valueDecay in tensor ops', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(['chunk', 'recurrent'] as const)(
    'matches the oracle, closed gates included, form %s',
    async (form) => {
      for (const options of [{ segments }, { gateOf: mixedGates }]) {
        const scan = scanCase({ ...shape, ...options });
        const wanted = askOracle(scan, valueDecayOracle);
        expectToMatch(await runScan(scan, (x) => valueDecay(x, { sequences: scan.sequences, form })), wanted);
      }
    },
  );
});
