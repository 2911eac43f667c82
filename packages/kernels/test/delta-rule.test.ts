import { deltaRule as oracle, deltaRuleBackward, nd, oddShapes, type NdArray } from '@mnemix/testkit';
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { deltaRule } from '../src/delta-rule/index.ts';
import { runOp, runOracle, scanCase, type OneHead, type OneHeadResult, type ScanCase, type ScanResult } from './scan-cases.ts';

/** The oracle with y = βv and e = β·erase, and its gradients taken back to v, β and the erase key. */
function oneHead({ inputs, dO, dState }: OneHead, erase: 'decayed' | 'undecayed'): OneHeadResult {
  const { q, k, v, beta, erase: given, logDecay, initialState } = inputs;
  const key = given ?? k!;
  const strength = (t: number) => beta?.data[t] ?? 1;
  const scaled = (x: NdArray) => nd(x.shape, x.data.map((value, i) => value * strength(Math.floor(i / x.shape[1]!))));
  const arrays = { q: q!, k: k!, y: scaled(v!), e: scaled(key), logDecay, initialState, erase };
  const { output, finalState } = oracle(arrays);
  const gradients = deltaRuleBackward(arrays, dO, dState);
  const products = (a: NdArray, b: NdArray, t: number) => {
    const width = a.shape[1]!;
    return a.data.subarray(t * width, (t + 1) * width).reduce((sum, x, i) => sum + x * b.data[t * width + i]!, 0);
  };
  const dErase = scaled(gradients.e);
  return {
    o: output,
    state: finalState,
    gradients: {
      q: gradients.q,
      k: given ? gradients.k : nd(k!.shape, gradients.k.data.map((x, i) => x + dErase.data[i]!)),
      v: scaled(gradients.y),
      beta: beta && nd(beta.shape, beta.data.map((_, t) => products(gradients.y, v!, t) + products(gradients.e, key, t))),
      erase: dErase,
      logDecay: gradients.logDecay,
      initialState: gradients.initialState,
    } as Record<string, NdArray>,
  };
}

const expected = (scan: ScanCase, eraseBeforeDecay = false): ScanResult =>
  runOracle(scan, (head) => oneHead(head, eraseBeforeDecay ? 'undecayed' : 'decayed'));

function expectToMatch(actual: ScanResult, wanted: ScanResult): void {
  expect(actual.o, 'o').toBeCloseRms(wanted.o, 1e-5);
  expect(actual.state, 'state').toBeCloseRms(wanted.state, 1e-5);
  for (const [name, gradient] of Object.entries(wanted.gradients)) {
    expect(actual.gradients[name], `gradient of ${name}`).toBeCloseRms(gradient, 1e-4);
  }
}

describe.each(['cpu', 'wasm'] as const)('deltaRule on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  describe.each(['chunk', 'recurrent', undefined] as const)('form %s', (form) => {
    const run = (scan: ScanCase, options: { chunkSize?: number; eraseBeforeDecay?: boolean } = {}) =>
      runOp(scan, (inputs) => deltaRule(inputs as never, { sequences: scan.sequences, form, ...options }));

    it.each(oddShapes)('matches the oracle for $name', (shape) => {
      for (const gate of ['none', 'scalar', 'vector'] as const) {
        const scan = scanCase({ ...shape, gate, beta: true });
        expectToMatch(run(scan), expected(scan));
      }
    });
    it.each(['none', 'scalar', 'vector'] as const)('has erase keys of its own, decay %s', (gate) => {
      for (const eraseBeforeDecay of [false, true]) for (const beta of [false, true]) {
        const scan = scanCase({ batch: 2, tokens: 75, heads: 2, keyWidth: 6, valueWidth: 7, gate, beta, erase: true });
        expectToMatch(run(scan, { eraseBeforeDecay }), expected(scan, eraseBeforeDecay));
      }
    });
  });
});
