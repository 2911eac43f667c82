// Whole models as fla saves them: logits, loss, greedy tokens, and the way back to disk.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, flatten, openBackend, tidy } from '@mnemix/tensor';
import { readModelFixture } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { generate, NO_LABEL, tokenTensor } from '../src/index.ts';
import { loadPretrained, savePretrained } from '../src/node.ts';

/** Logits and loss of a fixture's model on the current backend. */
async function checkForward(name: string): Promise<void> {
  const { folder, expected } = readModelFixture(name);
  const { model, params } = await loadPretrained(folder);
  tidy(() => {
    const [batch = 0, tokens = 0] = expected.inputIds.shape;
    const { vocabSize } = model.config;
    const { data } = expected.inputIds;
    const ids = tokenTensor(data, [batch, tokens], vocabSize, 'ids');
    expect(model.forward(params, ids).logits).toBeCloseRms(expected.logits, 1e-4, 0);
    // fla predicts the next token: labels are the ids one place on, the last has none.
    const labels = Array.from(data, (_, i) => (i % tokens < tokens - 1 ? data[i + 1]! : NO_LABEL));
    const targets = tokenTensor(labels, [batch, tokens], vocabSize, 'targets', { besides: NO_LABEL });
    const { loss, auxiliary } = model.loss(params, ids, targets);
    expect(loss).toBeCloseRms(expected.loss, 1e-5, 0);
    if (expected.auxLoss !== undefined) expect(auxiliary).toBeCloseRms(0.01 * expected.auxLoss, 1e-4, 0);
  });
  disposeTree(params);
}

describe.each(['mom', 'gla'])('%s on the plain backend', (name) => {
  it('gives the logits and the loss of fla', async () => {
    await openBackend('cpu');
    await checkForward(name);
  });
});

describe.each(['mom', 'gated_deltanet', 'delta_net', 'gla', 'retnet', 'hgrn2', 'mamba2'])('%s', (name) => {
  const { folder, expected } = readModelFixture(name);

  beforeAll(async () => {
    await openBackend('wasm');
  });

  it('gives the logits and the loss of fla', () => checkForward(name));

  it('continues a prompt with the greedy tokens of fla', async () => {
    const { model, params } = await loadPretrained(folder);
    const tokens: number[] = [];
    for await (const token of generate(model, params, [...expected.greedyPrompt.data], { maxTokens: 24 }))
      tokens.push(token);
    expect(tokens).toEqual([...expected.greedyTokens.data]);
    disposeTree(params);
  });

  it('comes back bit for bit after saving, under the same names', async () => {
    const target = await mkdtemp(join(tmpdir(), 'mnemix-'));
    try {
      const saved = await loadPretrained(folder);
      await savePretrained(target, saved);
      const again = await loadPretrained(target);
      expect(again.model.config).toEqual(saved.model.config);
      const [before, after] = [flatten(saved.params), flatten(again.params)];
      expect(Object.keys(after)).toEqual(Object.keys(before));
      for (const [path, leaf] of Object.entries(before))
        expect(after[path]!.dataSync()).toEqual(leaf.dataSync());
      const [written, given] = await Promise.all(
        [target, folder].map((path) => readFile(join(path, 'config.json'), 'utf8')),
      );
      const modelType = (text: string) => /"model_type": "(.*)"/.exec(text)?.[1];
      expect(modelType(written!)).toBe(modelType(given!));
    } finally {
      await rm(target, { recursive: true });
    }
  });
});
