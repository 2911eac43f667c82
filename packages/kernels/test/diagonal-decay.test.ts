import { diagonalDecay as oracle, diagonalDecayBackward, oddShapes } from '@mnemix/testkit';
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { diagonalDecay } from '../src/diagonal-decay/index.ts';
import { runOp, runOracle, scanCase, type OneHead, type ScanCase, type ScanResult } from './scan-cases.ts';

const expected = (scan: ScanCase): ScanResult =>
  runOracle(scan, ({ inputs, dO, dState }: OneHead) => {
    const { q, k, v, ...rest } = inputs as Required<typeof inputs>;
    const arrays = { q: q!, k: k!, v: v!, ...rest };
    const { output, finalState } = oracle(arrays);
    return { o: output, state: finalState, gradients: { ...diagonalDecayBackward(arrays, dO, dState) } };
  });

function expectToMatch(actual: ScanResult, wanted: ScanResult): void {
  expect(actual.o, 'o').toBeCloseRms(wanted.o, 1e-5);
  expect(actual.state, 'state').toBeCloseRms(wanted.state, 1e-5);
  for (const [name, gradient] of Object.entries(wanted.gradients)) {
    expect(actual.gradients[name], `gradient of ${name}`).toBeCloseRms(gradient, 1e-4);
  }
}

describe.each(['cpu', 'wasm'] as const)('diagonalDecay on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  describe.each(['chunk', 'recurrent', undefined] as const)('form %s', (form) => {
    const run = (scan: ScanCase, chunkSize?: number) =>
      runOp(scan, (inputs) => diagonalDecay(inputs as never, { sequences: scan.sequences, chunkSize, form }));

    it.each(oddShapes)('matches the oracle for $name', (shape) => {
      for (const gate of ['none', 'scalar', 'vector'] as const) {
        const scan = scanCase({ ...shape, gate });
        expectToMatch(run(scan), expected(scan));
      }
    });

    it('reads before the update where there is a bonus', () => {
      for (const gate of ['none', 'scalar', 'vector'] as const) {
        const scan = scanCase({ batch: 2, tokens: 75, heads: 2, keyWidth: 6, valueWidth: 7, gate, bonus: true });
        expectToMatch(run(scan), expected(scan));
      }
    });
  });
});
