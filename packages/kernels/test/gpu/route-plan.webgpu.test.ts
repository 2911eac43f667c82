import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, memory, openBackend, tidy, type Tensor } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { batchSequences, routePlan, type RoutePlan } from '../../src/index.ts';
import { int32, poison } from '../op-cases.ts';
import { choicesOf, planOf, routeCases, type RouteCase } from '../route-cases.ts';
import { countStockPrograms } from './stock-programs.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 300_000 });

/** Sequences of several chunks, with padding between; more buckets than a workgroup has invocations. */
const cases: readonly RouteCase[] = [
  ...routeCases,
  { name: 'sequences of several chunks', batch: 2, tokens: 300, memories: 4, chosen: 2 },
  {
    name: 'long ragged documents',
    batch: 1,
    tokens: 700,
    memories: 5,
    chosen: 3,
    segments: [
      { row: 0, start: 300, length: 257 },
      { row: 0, start: 20, length: 0 },
      { row: 0, start: 20, length: 129 },
      { row: 0, start: 149, length: 128 },
      { row: 0, start: 600, length: 1 },
    ],
  },
  { name: 'many buckets', batch: 40, tokens: 3, memories: 9, chosen: 2 },
  { name: 'more memories than a workgroup has invocations', batch: 2, tokens: 40, memories: 300, chosen: 2 },
  {
    name: 'counts that are added up by a dispatch of their own',
    batch: 20,
    tokens: 300,
    memories: 300,
    chosen: 2,
    segments: Array.from({ length: 20 }, (_, row) => ({ row, start: row % 2, length: (row % 3) * 140 })),
  },
];

const make = (shape: RouteCase, choices: readonly number[]): RoutePlan =>
  routePlan(int32(choices, [shape.batch * shape.tokens, shape.chosen]), {
    memories: shape.memories,
    shared: shape.shared ?? false,
    sequences: batchSequences(shape.batch, shape.tokens, shape.segments),
  });

describeOnWebgpu('routePlan', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(cases)('plans $name', async (shape) => {
    const choices = choicesOf(shape);
    await poison([[choices.length]]);
    const plan = tidy(() => {
      const { source, position, buckets, groups } = make(shape, choices);
      return {
        source,
        position,
        starts: buckets.starts as Tensor,
        lengths: buckets.lengths as Tensor,
        rowBucket: buckets.rowSequence as Tensor,
        groupStarts: groups.starts as Tensor,
        groupLengths: groups.lengths as Tensor,
        rowGroup: groups.rowSequence as Tensor,
      };
    });
    const found: Record<string, number[]> = {};
    for (const [name, x] of Object.entries(plan)) found[name] = Array.from(await x.data());
    expect(found).toEqual(planOf(shape, choices));
    for (const x of Object.values(plan)) x.dispose();
  });

  it('goes without stock kernels and leaves nothing behind', () => {
    const shape = routeCases[1]!;
    const before = memory().numTensors;
    expect(countStockPrograms(() => make(shape, choicesOf(shape)))).toBe(0);
    expect(memory().numTensors).toBe(before);
  });
});
