// With one gate a token a card makes the gates' gradient and finishes in one dispatch, SwiftShader, which binds 12 buffers, in two:
// what only a card runs has its text checked in delta-rule-mixed.test.ts.
import { closeBackend, openBackend } from '@mnemix/tensor';
import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { deltaRule } from '../../src/index.ts';
import { poison } from '../op-cases.ts';
import { askOracle, runScan, scanCase, type CaseOptions, type ScanCase } from '../scan-cases.ts';
import { deltaRuleOracle } from '../scan-oracles.ts';
import { expectToMatch, gates } from '../scan-suite.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const run = async (scan: ScanCase, eraseBeforeDecay: boolean) => {
  const { keyWidth, valueWidth, heads, sequences } = scan;
  const { rows, count } = sequences;
  // What the dispatches hand on is arbitrary at first, too.
  const chunks = 2 * count;
  await poison([
    [chunks, heads, keyWidth, valueWidth],
    [2, chunks, heads, 64, 64],
    [rows, heads],
    [3, rows, heads, keyWidth],
  ]);
  return runScan(scan, (inputs) => deltaRule(inputs, { sequences, eraseBeforeDecay }));
};

const check = async (options: CaseOptions, eraseBeforeDecay = false) => {
  const scan = scanCase({ beta: true, ...options });
  const wanted = askOracle(scan, (head) => deltaRuleOracle(head, eraseBeforeDecay));
  expectToMatch(await run(scan, eraseBeforeDecay), wanted);
};

const mixedGates = (drawn: number, index: number) => (index % 5 === 1 ? -1e4 : index % 7 === 3 ? 0 : drawn);

/**
 * Widths that are multiples of 4 have pipelines of their own, which take their time on a software adapter. Scans with
 * one gate a token have them here; diagonalPlusLowRank, which shares the stages, has odd ones with that gate too.
 */
const withWidths = <Shape extends { keyWidth: number; valueWidth: number }>(
  shape: Shape,
  gate: (typeof gates)[number],
) => {
  const widthOf = (width: number) => (gate === 'scalar' ? 4 * Math.ceil(width / 4) : width);
  return { ...shape, keyWidth: widthOf(shape.keyWidth), valueWidth: widthOf(shape.valueWidth), gate };
};

const shapes = [
  { batch: 2, tokens: 1, heads: 3, keyWidth: 15, valueWidth: 24 },
  { batch: 1, tokens: 2, heads: 2, keyWidth: 33, valueWidth: 16 },
  { batch: 1, tokens: 15, heads: 3, keyWidth: 24, valueWidth: 33 },
  { batch: 2, tokens: 64, heads: 1, keyWidth: 33, valueWidth: 33 },
  { batch: 1, tokens: 75, heads: 2, keyWidth: 14, valueWidth: 70 },
  { batch: 1, tokens: 139, heads: 1, keyWidth: 67, valueWidth: 20 },
];

const packed = {
  batch: 2,
  tokens: 90,
  heads: 2,
  keyWidth: 24,
  valueWidth: 33,
  segments: [
    { row: 0, start: 0, length: 67 },
    { row: 0, start: 70, length: 1 },
    { row: 1, start: 3, length: 0 },
    { row: 1, start: 4, length: 17 },
    { row: 1, start: 24, length: 64 },
  ],
};

/** Short enough to go token by token. */
const few = {
  batch: 1,
  tokens: 20,
  heads: 2,
  keyWidth: 18,
  valueWidth: 70,
  segments: [
    { row: 0, start: 1, length: 3 },
    { row: 0, start: 4, length: 0 },
    { row: 0, start: 5, length: 1 },
    { row: 0, start: 11, length: 8 },
  ],
};

const short = { batch: 1, tokens: 30, heads: 2, keyWidth: 24, valueWidth: 33 };

describeOnWebgpu('deltaRule', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  for (const gate of gates) {
    it.each(shapes.map((shape) => withWidths(shape, gate)))(
      `matches the oracle for $batch × $tokens tokens, $heads heads, $keyWidth × $valueWidth, decay ${gate}`,
      (shape) => check(shape),
    );

    it(`keeps packed documents apart, and writes 0 between them, decay ${gate}`, async () => {
      await check(withWidths(packed, gate));
      await check(withWidths(few, gate));
    });

    it(`erases with keys of its own, before or after the decay, decay ${gate}`, async () => {
      const shape = {
        ...withWidths({ batch: 1, tokens: 83, heads: 2, keyWidth: 17, valueWidth: 21 }, gate),
        erase: true,
      };
      for (const eraseBeforeDecay of [false, true]) await check(shape, eraseBeforeDecay);
      await check({ ...shape, tokens: 4 }, true);
    });

    it(`needs neither β nor an initial state, and no gradient of the last, decay ${gate}`, () =>
      check({ ...withWidths(short, gate), beta: false, initial: false, usesState: false }));
  }

  it.each(['scalar', 'vector'] as const)(
    'matches the oracle where closed gates stand next to open ones, decay %s',
    async (gate) => {
      const shape = withWidths({ batch: 1, tokens: 75, heads: 2, keyWidth: 21, valueWidth: 16 }, gate);
      for (const eraseBeforeDecay of [false, true])
        await check({ ...shape, gateOf: mixedGates }, eraseBeforeDecay);
    },
  );

  it.each(['scalar', 'vector'] as const)('gives no gradient to closed gates, decay %s', async (gate) => {
    const shape = withWidths({ batch: 1, tokens: 75, heads: 1, keyWidth: 17, valueWidth: 16 }, gate);
    const scan = scanCase({ ...shape, beta: true, gateOf: () => -1e4 });
    for (const eraseBeforeDecay of [false, true]) {
      const result = await run(scan, eraseBeforeDecay);
      expectToMatch(
        result,
        askOracle(scan, (head) => deltaRuleOracle(head, eraseBeforeDecay)),
      );
      expect(result.gradients['logDecay']!.data.every((value) => value === 0)).toBe(true);
    }
  });

  it('keeps its digits where keys are nearly parallel and β approaches 2', async () => {
    const shape = { batch: 1, tokens: 130, heads: 1, keyWidth: 17, valueWidth: 9 };
    for (const gate of ['none', 'scalar'] as const)
      await check({ ...withWidths(shape, gate), keyCorrelation: 0.99, betaScale: 1.99 });
  });

  it('has registers for 256 rows of the state', () =>
    check({ batch: 1, tokens: 70, heads: 1, keyWidth: 256, valueWidth: 36, gate: 'scalar' }));
});
