import { closeBackend, openBackend } from '@mnemix/tensor';
import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, it } from 'vitest';
import { knownCase, runCase } from '../log-linear-cases.ts';
import { expectToMatch } from '../op-cases.ts';

const segments = [
  { row: 0, start: 0, length: 11 },
  { row: 1, start: 1, length: 0 },
  { row: 1, start: 2, length: 3 },
];

describeOnWebgpu('log-linear attention in tensor ops', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each([
    { delta: false, form: 'chunk' },
    { delta: true, form: 'chunk' },
    { delta: true, form: 'recurrent' },
  ] as const)('matches the oracle, delta rule $delta, form $form', async ({ delta, form }) => {
    const dense = knownCase({ delta, tokens: 13, batch: 2, levels: 5 });
    expectToMatch(await runCase(dense.problem, { form, chunkSize: 4 }), dense.wanted);
    const packed = knownCase({ delta, tokens: 13, batch: 2, levels: 4, segments, positions: [5, 8, 2] });
    expectToMatch(await runCase(packed.problem, { form, chunkSize: 4 }), packed.wanted);
  });
});
