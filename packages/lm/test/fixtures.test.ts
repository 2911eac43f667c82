// Whole models as fla saves them: logits, loss, greedy tokens, and the way back to disk.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { disposeTree, flatten, openBackend, tensor, tensor2d, tidy, type Tensor2D } from '@mnemix/tensor';
import { readModelFixture } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../src/index.ts';
import { loadPretrained, savePretrained } from '../src/node.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

describe.each(['mom', 'gated_deltanet', 'delta_net', 'gla', 'retnet'])('%s', (name) => {
  const { folder, expected } = readModelFixture(name);

  it('gives the logits and the loss of fla', async () => {
    const { model, params } = await loadPretrained(folder);
    tidy(() => {
      const ids = tensor(
        expected.inputIds.data,
        [...expected.inputIds.shape] as [number, number],
        'int32',
      ) as Tensor2D;
      expect(model.forward(params, ids).logits).toBeCloseRms(expected.logits, 1e-4, 0);
      // fla predicts the next token: labels are the ids one place on, the last has none.
      const [batch = 0, tokens = 0] = expected.inputIds.shape;
      const targets = Array.from({ length: batch }, (_, b) =>
        Array.from({ length: tokens }, (__, t) =>
          t < tokens - 1 ? expected.inputIds.data[b * tokens + t + 1]! : -100,
        ),
      );
      const { loss, auxiliary } = model.loss(params, ids, tensor2d(targets, undefined, 'int32'));
      expect(loss).toBeCloseRms(expected.loss, 1e-5, 0);
      if (expected.auxLoss !== undefined) expect(auxiliary).toBeCloseRms(0.01 * expected.auxLoss, 1e-4, 0);
    });
    disposeTree(params);
  });

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
      expect(JSON.parse(await readFile(join(target, 'config.json'), 'utf8')).model_type).toBe(
        JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')).model_type,
      );
    } finally {
      await rm(target, { recursive: true });
    }
  });
});
