// A training step on devices that bind fewer tensors and have less workgroup memory: every op has a form for them. They do nothing
// else, so this is about plans, not about numbers.
import { closeBackend, openBackend, type Precision } from '@mnemix/tensor';
import { afterEach, expect, it, vi } from 'vitest';
import { disposeTrained, gpu, idsOf, modelOf, train, untrained } from './idle-training.ts';

vi.setConfig({ testTimeout: 120_000 });

afterEach(closeBackend);

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
    const ids = idsOf(4, 512);
    const { params, gradients } = modelOf(1, ids);
    const trained = await train(untrained(params), gradients);
    const told = warn.mock.calls.map(([text]) => String(text));
    expect(told.filter((text) => !portable?.test(text))).toEqual([]);
    expect(told.length > 0).toBe(portable !== undefined);
    disposeTrained(trained);
    ids.dispose();
    warn.mockRestore();
  },
);
