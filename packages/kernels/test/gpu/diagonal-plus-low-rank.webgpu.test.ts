import { closeBackend, openBackend } from '@mnemix/tensor';
import { describeOnWebgpu } from '@mnemix/testkit';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { diagonalPlusLowRank } from '../../src/index.ts';
import { poison } from '../op-cases.ts';
import {
  askOracle,
  parallelDraws,
  runScan,
  scanCase,
  type CaseOptions,
  type ScanCase,
} from '../scan-cases.ts';
import { diagonalPlusLowRankOracle } from '../scan-oracles.ts';
import { expectToMatch, gates } from '../scan-suite.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const run = async (scan: ScanCase) => {
  const { keyWidth, valueWidth, heads, sequences } = scan;
  const { rows, count } = sequences;
  // What the dispatches hand on is arbitrary at first, too.
  const chunks = 2 * count;
  await poison([
    [chunks, heads, keyWidth, valueWidth],
    [4, chunks, heads, 64, 64],
    [rows, heads],
    [3, rows, heads, keyWidth],
  ]);
  return runScan(scan, (inputs) => diagonalPlusLowRank(inputs, { sequences }));
};

const check = async (options: CaseOptions) => {
  const scan = scanCase({ lowRank: true, ...options });
  expectToMatch(await run(scan), askOracle(scan, diagonalPlusLowRankOracle));
};

const mixedGates = (drawn: number, index: number) => (index % 5 === 1 ? -1e4 : index % 7 === 3 ? 0 : drawn);

/** Widths that are multiples of 4 have pipelines of their own, which take their time on a software adapter: one gate has them. */
const aligned = [
  { batch: 2, tokens: 1, heads: 3, keyWidth: 16, valueWidth: 24 },
  { batch: 1, tokens: 75, heads: 2, keyWidth: 16, valueWidth: 72 },
  { batch: 1, tokens: 139, heads: 1, keyWidth: 68, valueWidth: 20 },
];
const odd = [
  { batch: 1, tokens: 2, heads: 2, keyWidth: 33, valueWidth: 16 },
  { batch: 1, tokens: 15, heads: 3, keyWidth: 24, valueWidth: 33 },
  { batch: 2, tokens: 64, heads: 1, keyWidth: 33, valueWidth: 33 },
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

describeOnWebgpu('diagonalPlusLowRank', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  for (const gate of gates) {
    it.each(gate === 'scalar' ? [...aligned, ...odd] : odd)(
      `matches the oracle for $batch × $tokens tokens, $heads heads, $keyWidth × $valueWidth, decay ${gate}`,
      (shape) => check({ ...shape, gate }),
    );

    it(`keeps packed documents apart, and writes 0 between them, decay ${gate}`, async () => {
      await check({ ...packed, gate });
      await check({ ...few, gate });
    });

    it(`needs no initial state, and no gradient of the last, decay ${gate}`, () =>
      check({ ...short, gate, initial: false, usesState: false }));
  }

  it.each(['scalar', 'vector'] as const)(
    'matches the oracle where closed gates stand next to open ones, decay %s',
    (gate) =>
      check({ batch: 1, tokens: 75, heads: 2, keyWidth: 21, valueWidth: 16, gate, gateOf: mixedGates }),
  );

  it.each(['scalar', 'vector'] as const)('gives no gradient to closed gates, decay %s', async (gate) => {
    const shape = { batch: 1, tokens: 75, heads: 1, keyWidth: 17, valueWidth: 16, lowRank: true };
    const scan = scanCase({ ...shape, gate, gateOf: () => -1e4 });
    const result = await run(scan);
    expectToMatch(result, askOracle(scan, diagonalPlusLowRankOracle));
    expect(result.gradients['logDecay']!.data.every((value) => value === 0)).toBe(true);
  });

  it('keeps its digits where keys are nearly parallel and α as large as the memory bears', async () => {
    for (const draw of parallelDraws) await check(draw);
  });
});
