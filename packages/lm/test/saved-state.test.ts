// A stream that is saved, and goes on elsewhere.
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory, openBackend, Rng, slice, tensor1d, tensor2d, type Tensor } from '@mnemix/tensor';
import '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLm, type LmConfig, type MixerConfig } from '../src/index.ts';
import { loadState, saveState } from '../src/node.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

const fading = { type: 'gated_delta_net', heads: 1, headWidth: 4 } as const;
const eidetic = { slots: 3, policy: { type: 'innovation' } } as const;
const mixers: Record<string, MixerConfig> = {
  'B’MOJO': { type: 'bmojo', window: 4, heads: 2, fading, eidetic },
  'B’MOJO over a Mixture-of-Memories': {
    type: 'bmojo',
    window: 4,
    heads: 2,
    fading: { type: 'mom', cell: fading, memories: 3, topK: 2 },
    eidetic,
  },
  'a Mixture-of-Memories': { type: 'mom', cell: fading, memories: 3, topK: 2 },
  'attention with its cache': { type: 'attention', heads: 2 },
};
const configOf = (mixer: MixerConfig): LmConfig => ({ vocabSize: 9, width: 8, layers: 2, mlp: null, mixer });
const file = async (): Promise<string> =>
  join(await mkdtemp(join(tmpdir(), 'mnemix-state-')), 'stream.safetensors');
const ids = (values: readonly number[]) => tensor2d([...values], [1, values.length], 'int32');

describe.each(Object.entries(mixers))('%s', (_, mixer) => {
  it('goes on from a file as if it had never stopped', async () => {
    const model = createLm(configOf(mixer));
    const params = model.init(Rng.of(1));
    const prompt = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3];
    const { state } = model.forward(params, ids(prompt));
    const path = await file();
    await saveState(path, state);
    const again = await loadState(path, createLm(configOf(mixer)));
    let [here, there] = [state, again];
    for (const token of [4, 5, 6, 7, 1]) {
      const next = tensor1d([token], 'int32');
      const [a, b] = [model.step(params, next, here), model.step(params, next, there)];
      expect(await b.logits.data()).toEqual(await a.logits.data());
      [here, there] = [a.state, b.state];
    }
  });
});

it('goes on in a model with more eidetic slots, which fill', async () => {
  const path = await file();
  const small = createLm(configOf(mixers['B’MOJO'] as MixerConfig));
  const params = small.init(Rng.of(1));
  await saveState(path, small.forward(params, ids([1, 2, 3, 4, 5, 6, 7, 8, 1, 2])).state);
  const large = createLm(
    configOf({ type: 'bmojo', window: 4, heads: 2, fading, eidetic: { ...eidetic, slots: 5 } }),
  );
  const { state } = large.forward(params, ids([3, 4, 5, 6, 7, 8]), { state: await loadState(path, large) });
  const { positions } = (state.layers[0]!.attn as { eidetic: { positions: Tensor } }).eidetic;
  const held = Array.from(await slice(positions, [0, 0], [1, 5]).data());
  expect(held.every((position) => position >= 0)).toBe(true);
  expect(new Set(held).size).toBe(5);
});

it('says what is wrong with a file, and leaves nothing behind', async () => {
  const path = await file();
  const model = createLm(configOf(mixers['B’MOJO'] as MixerConfig));
  const other = createLm(configOf(mixers['attention with its cache'] as MixerConfig));
  await expect(loadState(path, model)).rejects.toMatchObject({ code: 'file', where: path });
  await saveState(path, model.initialState(1));
  const before = memory().numTensors;
  await expect(loadState(path, other)).rejects.toMatchObject({ code: 'state', where: path });
  await writeFile(path, (await readFile(path)).subarray(0, 100));
  await expect(loadState(path, model)).rejects.toMatchObject({ code: 'checkpoint' });
  expect(memory().numTensors).toBe(before);
  await expect(saveState(join(path, 'below'), model.initialState(1))).rejects.toMatchObject({ code: 'file' });
  expect(await readdir(join(path, '..'))).toEqual(['stream.safetensors']);
});
