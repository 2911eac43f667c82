// Generation with memory on disk: the archives of B'MOJO layers, refreshed between tokens.
import { memoryStore, openArchive, type BmojoState } from '@mnemix/bmojo';
import { memory, openBackend, Rng, type Tensor } from '@mnemix/tensor';
import '@mnemix/testkit';
import { beforeAll, expect, it } from 'vitest';
import { createLm, generate, type LmState } from '../src/index.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const window = 4;
const recalled = 2;
const model = createLm({
  vocabSize: 9,
  width: 8,
  layers: 2,
  mlp: null,
  mixer: {
    type: 'bmojo',
    window,
    heads: 2,
    fading: { type: 'gated_delta_net', heads: 1, headWidth: 4 },
    eidetic: { slots: 2, recalled, policy: { type: 'recency' } },
  },
});

it('brings back what the slots hold no longer, layer by layer, without a leak', async () => {
  const params = model.init(Rng.of(1));
  const before = memory().numTensors;
  const store = memoryStore();
  const archives = await Promise.all(
    [0, 1].map((layer) => openArchive({ store, stream: `layer ${layer}`, slots: recalled, window })),
  );
  const positions: number[][] = [];
  const onState = (state: LmState): LmState => ({
    layers: state.layers.map((block, layer) => {
      const attn = archives[layer]!.refresh(block.attn as BmojoState);
      if (layer === 0) void (attn.recalled!.positions as Tensor).data().then((p) => positions.push([...p]));
      return { ...block, attn };
    }),
  });
  let count = 0;
  const tokens = generate(model, params, [1, 2, 3, 4, 5], {
    maxTokens: 40,
    onState,
    rng: Rng.of(3),
    temperature: 1,
  });
  for await (const token of tokens) {
    expect(token).toBeLessThan(9);
    count++;
    // What was started between tokens is not waited for by generate.
    await Promise.all(archives.map((archive) => archive.flush()));
  }
  expect(count).toBe(40);
  await Promise.all(archives.map((archive) => archive.close()));
  const last = positions.at(-1) as number[];
  // The newest two of all before the last chunk are in the slots; these are older ones, from the store.
  expect(last.every((position) => position >= 0 && position < 40)).toBe(true);
  expect(archives[0]!.reports).toEqual({ missing: 0, corrupt: 0, stale: 0 });
  expect(memory().numTensors).toBe(before);
});
