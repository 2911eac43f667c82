import { it } from 'vitest';
import { mqar } from '@mnemix/tasks';
import { openBackend } from '@mnemix/tensor';
import { startTraining } from '../src/training.ts';
it('recall', async () => {
  await openBackend('wasm', { threads: 1 });
  const cell = { type: 'gsa', heads: 2, expandK: 0.5, expandV: 0.5, slots: 16, convolution: 4 };
  const model = { vocabSize: 66, width: 64, layers: 2, mixer: { type: 'mom', cell, memories: 4, topK: 2 }, mlp: null };
  const training = startTraining({ model: model as never, task: mqar({ vocabSize: 66, segments: [{ tokens: 64, pairs: 8 }], fill: 'blank' }), batch: 32, steps: 1500, seed: 1, learningRate: 5e-3 });
  for (let s = 0; s < 700; s++) {
    const t = performance.now();
    const loss = await training.step(s);
    if (s % 20 === 0 || !Number.isFinite(loss)) console.log('L', s, loss.toFixed(4), (performance.now() - t).toFixed(0));
    if (!Number.isFinite(loss)) break;
  }
}, 3_000_000);
