// What a training step costs besides the kernels themselves, counted on a device that does nothing: the model of `mnemix-bench lm-gpu`
// with fewer layers and tokens in its vocabulary. docs/kernels.md tells how these numbers came about.
import {
  closeBackend,
  disposeTree,
  openBackend,
  Rng,
  tensor2d,
  tidy,
  valueAndGrad,
  type Precision,
  type Tensor2D,
} from '@mnemix/tensor';
import { adamW, type AdamWState } from '@mnemix/optim';
import { idleWebgpu } from '@mnemix/testkit';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createLm, type LmConfig, type LmParams } from '../src/index.ts';

vi.setConfig({ testTimeout: 120_000 });

const gpu = idleWebgpu();
// Imported when a backend is opened.
vi.doMock('webgpu', () => gpu);

const [BATCH, TOKENS] = [8, 2048];

const configOf = (layers: number): LmConfig => ({
  vocabSize: 64,
  width: 512,
  layers,
  mlp: { hidden: 1408 },
  mixer: {
    type: 'mom',
    memories: 4,
    topK: 2,
    shared: true,
    cell: { type: 'gated_delta_net', heads: 4, headWidth: 128, expandV: 1 },
  },
});

/** Lets what the device says late be heard: that kernels are valid. */
const settle = () => new Promise((resolve) => setTimeout(resolve));

describe.each<[Precision, most: number]>([
  ['float32', 59],
  ['mixed', 78],
])('a training step in %s', (precision, most) => {
  afterEach(closeBackend);

  const ids = () => tensor2d(new Int32Array(BATCH * TOKENS), [BATCH, TOKENS], 'int32') as Tensor2D;
  const lossOf = (layers: number, given: Tensor2D) => {
    const model = createLm(configOf(layers));
    const gradients = valueAndGrad((params: LmParams) => ({ value: model.loss(params, given, given).loss }));
    return { model, gradients };
  };

  it(`has at most ${most} dispatches a block`, async () => {
    await openBackend('webgpu-software', { precision });
    const given = ids();
    const counts: number[] = [];
    for (const layers of [3, 2]) {
      const { model, gradients } = lossOf(layers, given);
      const params = model.init(Rng.of(1));
      gpu.clear();
      tidy(() => void gradients(params));
      counts.push(gpu.account.dispatches.length);
      disposeTree(params);
    }
    const [more = 0, fewer = 0] = counts;
    expect(more - fewer).toBeLessThanOrEqual(most);
    expect(more - fewer).toBeGreaterThan(most / 2);
  });

  it('makes no buffer and no bind group that the step before did not have, and has a kernel for all ops', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    await openBackend('webgpu-software', { precision });
    const given = ids();
    const { model, gradients } = lossOf(1, given);
    const optimiser = adamW({ clipNorm: 1 });
    let params = model.init(Rng.of(1));
    let state: AdamWState<LmParams> = optimiser.init(params);
    for (let step = 0; step < 5; step++) {
      gpu.clear();
      const { value, grads } = gradients(params);
      const { gradNorm, leafNorms, ...after } = optimiser.update(params, grads, state, {
        learningRate: 1e-3,
      });
      ({ params, state } = after);
      // As in training: what has been recorded is submitted, and the next step begins where this one did.
      await value.data();
      disposeTree({ value, gradNorm, leafNorms });
      await settle();
    }
    // Those of tfjs's own programs bear no name, and are made every time.
    expect(gpu.account.bindGroups.filter((name) => name !== undefined)).toEqual([]);
    expect(gpu.account.buffers).toEqual([]);
    expect(warn.mock.calls).toEqual([]);
    warn.mockRestore();
    disposeTree({ params, m: state.m, v: state.v, given } as never);
  });
});
