import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, openBackend, tidy, type Tensor } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { batchSequences, routePlan } from '../../src/index.ts';
import { int32, poison } from '../op-cases.ts';
import { choicesOf, planOf, routeCases } from '../route-cases.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 60_000 });

describeOnWebgpu('routePlan', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(routeCases)('plans $name without a read-back', async (shape) => {
    const choices = choicesOf(shape);
    await poison([[choices.length]]);
    const plan = tidy(() => {
      const sequences = batchSequences(shape.batch, shape.tokens, shape.segments);
      const { source, position, buckets, groups } = routePlan(
        int32(choices, [shape.batch * shape.tokens, shape.chosen]),
        { memories: shape.memories, sequences },
      );
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
});
