// The kernel: exactly the slots of a sort, with ties, infinities and empty slots.
import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, openBackend, tensor2d, tidy } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { selectSlots } from '../../src/index.ts';
import { poison } from '../op-cases.ts';
import { byPrefix, selectCases, streamsOf } from '../select-slots-cases.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 300_000 });

describeOnWebgpu('selectSlots', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  it.each(selectCases)('holds the top of every prefix: $name', async (shape) => {
    const streams = streamsOf(shape);
    await poison([[shape.streams, shape.tokens / shape.block, shape.slots]]);
    const { ids, scores } = tidy(() => {
      const matrix = (x: readonly (readonly number[])[]) => tensor2d(x as number[][]);
      const inputs = { scores: matrix(streams.scores), held: streams.held && matrix(streams.held) };
      return { ...selectSlots(inputs, shape) };
    });
    expect({ ids: await ids.array(), scores: await scores.array() }).toEqual(byPrefix(shape, streams));
    for (const x of [ids, scores]) x.dispose();
  });
});
