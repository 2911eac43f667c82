import { engine } from '@tensorflow/tfjs-core';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { afterEach, beforeEach, expect, it } from 'vitest';
import * as m from '../src/index.ts';
import { onWebgpu, read } from './support.ts';

onWebgpu('a WebGPU device that fails', (name) => {
  beforeEach(() => m.openBackend(name));
  afterEach(m.closeBackend);

  const backend = () => engine().backend as unknown as WebGPUBackend;

  it('is told as lost by the next call and the next read, and a fresh one computes', async () => {
    const x = m.add(m.ones([3000]), 1);
    backend().device.destroy();
    await backend().device.lost;
    const lost = { name: 'MnemixError', code: 'lost', fix: expect.stringContaining('checkpoint') };
    const before = m.memory().numTensors;
    expect(() => m.mul(x, x)).toThrow(expect.objectContaining(lost));
    expect(m.memory().numTensors).toBe(before);
    await expect(x.data()).rejects.toMatchObject(lost);
    x.dispose();
    await m.closeBackend();
    await m.openBackend(name);
    expect(await read(m.add(m.tensor1d([1, 2]), 1))).toEqual([2, 3]);
  });

  it('is told as lost by a read that was under way', async () => {
    const reading = m.add(m.ones([3000]), 1).data();
    backend().device.destroy();
    await expect(reading).rejects.toMatchObject({ code: 'lost' });
  });

  it('refuses a tensor beyond its limits before anything is made', async () => {
    const most = m.largestTensor(backend().device);
    const x = m.ones([2 ** 16]);
    const before = m.memory();
    const copies = Math.ceil(most / 4 / 2 ** 16) + 1;
    expect(() => m.tile(x, [copies])).toThrow(
      expect.objectContaining({
        code: 'backend',
        where: 'TileProgram(output)',
        message: expect.stringContaining(`[${copies * 2 ** 16}]`),
        detail: expect.objectContaining({ most }),
      }),
    );
    expect(m.memory()).toMatchObject({
      numTensors: before.numTensors,
      numDataBuffers: before.numDataBuffers,
    });
    expect(await read(m.sum(x))).toEqual([2 ** 16]);
    x.dispose();
  });

  it('refuses more workgroups than it runs in a dimension, with the program and their numbers', () => {
    const matrices = backend().device.limits.maxComputeWorkgroupsPerDimension + 1;
    const [a, b] = [m.ones([matrices, 1, 2]), m.ones([matrices, 2, 1])];
    const before = m.memory().numTensors;
    expect(() => m.matMul(a, b)).toThrow(
      expect.objectContaining({
        code: 'backend',
        where: expect.stringContaining('MatMul'),
        message: expect.stringMatching(new RegExp(`takes .*${matrices} workgroups.* runs ${matrices - 1}`)),
        fix: expect.stringContaining('smaller batch'),
      }),
    );
    expect(m.memory().numTensors).toBe(before);
    a.dispose();
    b.dispose();
  });
});
