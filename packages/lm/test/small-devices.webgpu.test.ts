// A training step on devices that bind fewer tensors and have less workgroup memory: every op has a form for them. They do nothing
// else, so this is about plans, not about numbers.
import {
  closeBackend,
  disposeTree,
  openBackend,
  Rng,
  tensor2d,
  valueAndGrad,
  type Precision,
  type Tensor2D,
} from '@mnemix/tensor';
import { adamW } from '@mnemix/optim';
import { idleWebgpu } from '@mnemix/testkit';
import { afterEach, expect, it, vi } from 'vitest';
import { createLm, type LmParams } from '../src/index.ts';

vi.setConfig({ testTimeout: 120_000 });

const gpu = idleWebgpu();
// Imported when a backend is opened.
vi.doMock('webgpu', () => gpu);

afterEach(closeBackend);

const [BATCH, TOKENS] = [4, 512];

it.each<[buffers: number, workgroupBytes: number, Precision, portable: RegExp | undefined]>([
  // What WebGPU promises.
  [8, 16_384, 'float32', /^mnemix: DeltaRule/],
  [8, 16_384, 'mixed', /^mnemix: DeltaRule/],
  [10, 32_768, 'float32', undefined],
  [10, 32_768, 'mixed', undefined],
  [12, 49_152, 'mixed', undefined],
  [14, 49_152, 'mixed', undefined],
])(
  'trains with %i buffers a stage and %i bytes a workgroup in %s',
  async (buffers, bytes, precision, portable) => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    Object.assign(gpu.limits, {
      maxStorageBuffersPerShaderStage: buffers,
      maxComputeWorkgroupStorageSize: bytes,
      maxStorageBufferBindingSize: 2 ** 27,
    });
    await openBackend('webgpu-software', { precision });
    const ids = tensor2d(new Int32Array(BATCH * TOKENS), [BATCH, TOKENS], 'int32') as Tensor2D;
    const model = createLm({
      vocabSize: 64,
      width: 512,
      layers: 1,
      mlp: { hidden: 1408 },
      mixer: {
        type: 'mom',
        memories: 3,
        topK: 2,
        shared: true,
        cell: { type: 'gated_delta_net', heads: 4, headWidth: 128, expandV: 1 },
      },
    });
    const params = model.init(Rng.of(1));
    const optimiser = adamW({ clipNorm: 1 });
    const state = optimiser.init(params);
    const gradients = valueAndGrad((tree: LmParams) => ({ value: model.loss(tree, ids, ids).loss }));
    const { value, grads } = gradients(params);
    const updated = optimiser.update(params, grads, state, { learningRate: 1e-3 });
    await value.data();
    const told = warn.mock.calls.map(([text]) => String(text));
    expect(told.filter((text) => !portable?.test(text))).toEqual([]);
    expect(told.length > 0).toBe(portable !== undefined);
    const { gradNorm, leafNorms, params: after, state: moments } = updated;
    disposeTree({ value, ids, gradNorm, leafNorms, after, m: moments.m, v: moments.v } as never);
    warn.mockRestore();
  },
);
