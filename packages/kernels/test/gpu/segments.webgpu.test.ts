// Long sequences are cut into segments that are walked side by side: here short ones are.
import { closeBackend, openBackend, type Tensor } from '@mnemix/tensor';
import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { deltaRule, diagonalDecay, diagonalPlusLowRank, type Sequences } from '../../src/index.ts';
import { segmentsOf } from '../../src/gpu/scan/segments.ts';
import { poison } from '../op-cases.ts';
import { askOracle, runScan, scanCase, type CaseOptions, type OneHead } from '../scan-cases.ts';
import { deltaRuleOracle, diagonalDecayOracle, diagonalPlusLowRankOracle } from '../scan-oracles.ts';
import { expectToMatch, gates } from '../scan-suite.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

interface Cut {
  readonly sequences: Sequences;
  readonly segmentChunks: number;
}

interface Scan {
  readonly op: (inputs: never, cut: Cut) => { o: Tensor; state: Tensor };
  readonly oracle: (head: OneHead) => ReturnType<typeof diagonalDecayOracle>;
  readonly drawn?: Partial<CaseOptions>;
}

const scans: Readonly<Record<string, Scan>> = {
  diagonalDecay: { op: diagonalDecay, oracle: diagonalDecayOracle },
  deltaRule: { op: deltaRule, oracle: (head) => deltaRuleOracle(head, false), drawn: { beta: true } },
  diagonalPlusLowRank: {
    op: diagonalPlusLowRank,
    oracle: diagonalPlusLowRankOracle,
    drawn: { lowRank: true, alphas: [0, 0.5] },
  },
};

/** The last segment is shorter than the others, and so is its last chunk. */
const long = { batch: 1, tokens: 285, heads: 2, keyWidth: 9, valueWidth: 6 };
/** Of one segment, of several, empty, of a single token. */
const packed = {
  batch: 2,
  tokens: 340,
  heads: 1,
  keyWidth: 12,
  valueWidth: 8,
  segments: [
    { row: 0, start: 0, length: 130 },
    { row: 0, start: 140, length: 1 },
    { row: 0, start: 150, length: 0 },
    { row: 0, start: 155, length: 64 },
    { row: 1, start: 3, length: 330 },
  ],
};

const closed = (drawn: number, index: number) => (index % 150 === 1 ? -1e4 : drawn / 100);
const nearlyOpen = (drawn: number) => drawn / 100;

describeOnWebgpu('long sequences cut into segments', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  describe.each(Object.entries(scans))('%s', (_, { op, oracle, drawn }) => {
    const check = async (options: CaseOptions, segmentChunks: number) => {
      const scan = scanCase({ gateOf: nearlyOpen, ...drawn, ...options });
      const { keyWidth, valueWidth, heads, sequences } = scan;
      // What the dispatches hand on is arbitrary at first, too.
      await poison([
        [sequences.count + 5, heads, keyWidth, valueWidth],
        [sequences.count + 2, heads, keyWidth, valueWidth],
        [sequences.count + 5, heads, 64, 64],
      ]);
      const found = await runScan(scan, (inputs) => op(inputs, { sequences, segmentChunks }));
      expectToMatch(found, askOracle(scan, oracle));
    };

    it.each(gates)('matches the oracle in segments of one chunk and of two, decay %s', async (gate) => {
      await check({ ...long, gate }, 1);
      await check({ ...long, gate, initial: false, usesState: false }, 2);
    });

    it.each(gates)('keeps packed documents apart, decay %s', (gate) => check({ ...packed, gate }, 2));

    it.each(['scalar', 'vector'] as const)('closes gates between segments, decay %s', (gate) =>
      check({ ...long, gate, gateOf: closed }, 2),
    );
  });
});

describe('segments', () => {
  const heads = 8;
  const cut = (count: number, tokens: number) =>
    segmentsOf({ chunks: (count * tokens) / 64, count, maxLength: tokens, heads, dv: 128 });

  it('are made of few long sequences alone', () => {
    expect(cut(32, 2048)).toBeUndefined();
    expect(cut(8, 2048)).toBeUndefined();
    expect(cut(16, 4096)).toBeUndefined();
    expect(cut(1, 2048)).toBeUndefined();
    expect(cut(1, 65_536)).toEqual({ length: 47, most: 22 });
    expect(cut(4, 16_384)).toEqual({ length: 47, most: 24 });
  });

  it('are as many as there can be, whatever the lengths', () => {
    const ragged = { chunks: 40, count: 8, maxLength: 2048, heads, dv: 128, segmentChunks: 4 };
    expect(segmentsOf(ragged)).toEqual({ length: 4, most: 18 });
    expect(segmentsOf({ ...ragged, segmentChunks: 32 })).toBeUndefined();
  });
});
