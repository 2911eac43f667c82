// The kernels against the oracle: tiles that are not full, heads of all widths, every place that keys may lie in.
import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, openBackend } from '@mnemix/tensor';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  attentionCases,
  attentionOracle,
  inputsOf,
  runAttention,
  type AttentionCase,
} from '../attention-cases.ts';
import { expectToMatch, poison, runOp } from '../op-cases.ts';

// A software adapter takes a while to compile its first pipelines.
vi.setConfig({ testTimeout: 300_000 });

const shared = { batch: 1, heads: 2, kvHeads: 1, headWidth: 8 };

/** More than one tile of queries and keys. Few head widths: a software adapter compiles each kind for seconds. */
const largeCases: readonly AttentionCase[] = [
  { ...shared, name: 'more than two tiles', tokens: 133, groups: [{}] },
  { ...shared, name: 'wide and odd heads', tokens: 66, headWidth: 130, groups: [{}] },
  { ...shared, name: 'a window over tiles', tokens: 150, groups: [{ nearest: 3, farthest: 71 }] },
  {
    ...shared,
    name: 'blocks of more than a tile, beside a cache',
    tokens: 100,
    position: [30],
    block: 70,
    groups: [
      { farthest: 70, cached: 69 },
      { slots: 67, far: 20 },
      { slots: 70, common: true },
    ],
  },
  {
    ...shared,
    name: 'a token with a cache that is split among workgroups',
    tokens: 1,
    position: [900],
    groups: [{ cached: 900 }, { slots: 300 }],
  },
];

describeOnWebgpu('attention', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  const run = async (shape: AttentionCase) => {
    const inputs = inputsOf(shape);
    await poison([[shape.batch * shape.tokens, shape.heads]]);
    return runOp(inputs.arrays, (t) => ({ o: runAttention(shape, inputs, t) }), { o: inputs.dO });
  };

  it.each([...attentionCases, ...largeCases])('matches the oracle: $name', async (shape) => {
    expectToMatch(await run(shape), attentionOracle(shape, inputsOf(shape)));
  });

  it('gives the same bits every time', async () => {
    const shape = largeCases[3]!;
    expect(await run(shape)).toEqual(await run(shape));
  });
});
