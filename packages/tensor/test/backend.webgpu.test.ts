import { engine, env } from '@tensorflow/tfjs-core';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BufferPool } from '../src/backend/buffer-pool.ts';
import * as m from '../src/index.ts';
import { onWebgpu, read } from './support.ts';

onWebgpu('the WebGPU backend', (name) => {
  let report: m.BackendReport;
  beforeEach(async () => {
    report = await m.openBackend(name);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await m.closeBackend();
  });

  const backend = () => engine().backend as unknown as WebGPUBackend;

  it('runs on a device of ours with the features and limits that the adapter offers (trap 10)', () => {
    const { device } = backend();
    expect(report).toMatchObject({
      name: 'webgpu',
      software: name === 'webgpu-software',
      adapter: { vendor: expect.any(String) },
    });
    for (const feature of report.features) expect(device.features.has(feature as GPUFeatureName)).toBe(true);
    for (const [limit, value] of Object.entries(report.limits))
      expect(device.limits[limit as keyof GPUSupportedLimits]).toBe(value);
    expect(device.limits.maxStorageBuffersPerShaderStage).toBeGreaterThan(8);
  });

  it('computes on the device whatever the size (trap 3)', async () => {
    expect(env().getBool('WEBGPU_CPU_FORWARD')).toBe(false);
    expect(await read(m.add(m.tensor1d([1, 2, 3]), 1))).toEqual([2, 3, 4]);
  });

  it('throws on the next read after an invalid shader, instead of returning stale data (trap 2)', async () => {
    const { device } = backend();
    const y = m.add(m.tensor1d([1, 2]), 1);
    device.createShaderModule({ code: 'fn broken(' });
    await device.queue.onSubmittedWorkDone();
    await expect(y.data()).rejects.toThrow(
      expect.objectContaining({ name: 'MnemixError', code: 'kernel', where: 'webgpu' }),
    );
    expect(() => m.assertBackendHealthy()).toThrow(/WGSL/);
    expect(() => m.mul(m.tensor1d([1]), 2)).toThrow(/WGSL/);
    // A fresh device starts with a clean record.
    await m.closeBackend();
    await m.openBackend(name);
    expect(await read(m.add(m.tensor1d([1, 2]), 1))).toEqual([2, 3]);
  });

  it('reads asynchronously; a synchronous read throws in Node (trap 5)', async () => {
    const x = m.add(m.ones([2000]), 1);
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    expect(() => x.dataSync()).toThrow();
    expect((await read(x)).every((value) => value === 2)).toBe(true);
  });

  it('allocates nothing more when the same sizes are used again (trap 4)', async () => {
    const step = () => m.tidy(() => m.softmax(m.matMul(m.ones([64, 32]), m.ones([32, 64]))));
    const allocated = () =>
      (m.memory() as unknown as { numBytesAllocatedInGPU: number }).numBytesAllocatedInGPU;
    const runs: number[] = [];
    const before = m.memory().numTensors;
    for (let i = 0; i < 12; i++) {
      const y = step();
      await y.data();
      y.dispose();
      runs.push(allocated());
    }
    expect(runs.at(-1)).toBeLessThanOrEqual(runs[3] as number);
    expect(m.memory().numTensors).toBe(before);
  });

  it('gives the memory of a peak back (trap 4)', async () => {
    const pool = (backend() as unknown as { bufferManager: BufferPool }).bufferManager;
    const before = pool.numBytesAllocated;
    const large = m.add(m.ones([2 ** 20]), 1);
    await large.data();
    large.dispose();
    expect(pool.numBytesAllocated).toBeGreaterThan(before + 2 ** 22);
    for (let i = 0; i < 2; i++) pool.endPeriod();
    expect(pool.numBytesAllocated).toBe(pool.numBytesUsed);
    expect(m.memory()).toMatchObject({ numBytesAllocatedInGPU: pool.numBytesAllocated });
    expect(await read(m.add(m.tensor1d([1, 2]), 1))).toEqual([2, 3]);
  });

  it('computes gathers, scatters and their gradients the same on every run, in the order of the rows (trap 13)', async () => {
    const rng = m.Rng.of(5);
    const run = async () => {
      const ids = m.tensor1d(rng.fold('ids').integers(300, -1, 7), 'int32');
      const loss = (p: m.Tensor) => ({ value: m.sum(m.square(m.gatherRows(p, ids))) as m.Scalar });
      return read(m.valueAndGrad(loss)(rng.fold('table').normal([7, 17])).grads);
    };
    const first = await run();
    expect(await run()).toEqual(first);
    await m.openBackend('cpu');
    expect(first).toBeCloseRms(await run(), 1e-5);
  });

  it('agrees with the other backends on ties, −∞ and indices outside', async () => {
    const { values, indices } = m.topK(m.tensor1d([-Infinity, 4, 4, -Infinity]), 4);
    expect(await read(indices)).toEqual([1, 2, 0, 3]);
    expect(await read(values)).toEqual([4, 4, -Infinity, -Infinity]);
    expect(await read(m.oneHot(m.tensor1d([0, -1, 2, 3], 'int32'), 3))).toEqual([
      1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
    ]);
    const x = m.tensor([1, 2, 3, 4, 5, 6], [3, 2]);
    expect(await read(m.gatherRows(x, m.tensor1d([2, -1, 0], 'int32')))).toEqual([5, 6, 0, 0, 1, 2]);
  });

  it('gives the random numbers of every other backend', async () => {
    const onDevice = await read(m.add(m.Rng.of(7).normal([9]), 0));
    await m.openBackend('cpu');
    expect(onDevice).toEqual(await read(m.Rng.of(7).normal([9])));
  });

  it('is examined by the doctor without being closed', async () => {
    const x = m.add(m.ones([3]), 1);
    const { findings } = await m.doctor();
    expect(findings.find(({ name: choice }) => choice === name)).toMatchObject({ works: true });
    expect(await read(m.add(x, 1))).toEqual([3, 3, 3]);
  });

  it('refuses to open a second kind of adapter beside it', async () => {
    const other = name === 'webgpu' ? 'webgpu-software' : 'webgpu';
    await expect(m.openBackend(other)).rejects.toThrow(/closeBackend\(\) first/);
  });
});

describe('WebGPU in Node', () => {
  it('leaves no `navigator.gpu` behind when it is closed', async () => {
    await m.closeBackend();
    expect(globalThis.navigator?.gpu).toBeUndefined();
  });
});
