import { engine } from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import * as m from '../src/index.ts';
import { host } from './support.ts';

const product = () => host(m.matMul(m.ones([64, 16]), m.ones([16, 64]))).every((value) => value === 16);

describe('openBackend', () => {
  afterEach(async () => {
    await m.closeBackend();
    vi.restoreAllMocks();
    vi.unstubAllEnvs();
  });

  it('opens WASM with SIMD and threads in Node', async () => {
    const { availableParallelism } = await import('node:os');
    vi.stubEnv('MNEMIX_THREADS', undefined);
    const report = await m.openBackend('wasm');
    expect(report).toMatchObject({
      name: 'wasm',
      simd: true,
      threads: Math.min(4, availableParallelism()),
      rejected: [],
    });
    expect(product()).toBe(true);
  });

  it('takes the number of threads from the environment', async () => {
    vi.stubEnv('MNEMIX_THREADS', '1');
    expect(await m.openBackend('wasm')).toMatchObject({ threads: 1 });
    await m.closeBackend();
    vi.stubEnv('MNEMIX_THREADS', 'many');
    await expect(m.openBackend('wasm')).rejects.toThrow(/no number of threads/);
  });

  it('runs WASM on one thread when told to, with the same bits', async () => {
    const rng = m.Rng.of(1);
    const run = () => host(m.matMul(rng.fold('a').normal([257, 33]), rng.fold('b').normal([33, 65])));
    await m.openBackend('wasm', { threads: 2 });
    const threaded = run();
    await m.closeBackend();
    expect(await m.openBackend('wasm', { threads: 1 })).toMatchObject({ threads: 1 });
    expect(run()).toEqual(threaded);
  });

  it('says so and goes on with one thread where threads cannot start', async () => {
    const { getBuiltinModule } = process;
    class NoWorker {
      constructor() {
        throw new Error('no workers here');
      }
    }
    vi.spyOn(process, 'getBuiltinModule').mockImplementation(((id: string) =>
      id === 'node:worker_threads' ? { Worker: NoWorker } : getBuiltinModule(id as 'node:fs')) as never);
    const report = await m.openBackend('wasm', { threads: 2 });
    expect(report).toMatchObject({
      threads: 1,
      rejected: [{ name: 'wasm threads', reason: expect.stringContaining('no workers here') }],
    });
    expect(product()).toBe(true);
  });

  it('keeps Node from exiting neither with threads nor with handlers of its own', async () => {
    const listeners = () => [
      process.listenerCount('uncaughtException'),
      process.listenerCount('unhandledRejection'),
    ];
    const before = { listeners: listeners() };
    await m.openBackend('wasm', { threads: 2 });
    expect(product()).toBe(true);
    expect(listeners()).toEqual(before.listeners);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(process.getActiveResourcesInfo().filter((name) => /worker|messageport/i.test(name))).toEqual([]);
    await m.closeBackend();
    expect(listeners()).toEqual(before.listeners);
  });

  it('opens the CPU backend without tfjs’s banner', async () => {
    const warn = vi.spyOn(console, 'warn');
    expect(await m.openBackend('cpu')).toMatchObject({
      name: 'cpu',
      threads: 1,
      simd: false,
      software: false,
    });
    expect(product()).toBe(true);
    expect(warn).not.toHaveBeenCalled();
  });

  it('opens without a warning about kernels that are registered twice', async () => {
    const warn = vi.spyOn(console, 'warn');
    await m.openBackend('wasm');
    await m.closeBackend();
    await m.openBackend('wasm');
    expect(warn).not.toHaveBeenCalled();
  });

  it('switches between open backends, and tensors move along', async () => {
    await m.openBackend('cpu');
    const x = m.tensor1d([1, 2, 3]);
    await m.openBackend('wasm');
    expect(engine().backendName).toBe('wasm');
    expect(host(m.mul(x, 2))).toEqual([2, 4, 6]);
    await m.openBackend('cpu');
    expect(engine().backendName).toBe('cpu');
    expect(host(m.mul(x, 3))).toEqual([3, 6, 9]);
  });

  it('opens a backend once when asked twice at the same time', async () => {
    const [first, second] = await Promise.all([m.openBackend('wasm'), m.openBackend('wasm')]);
    expect(first).toEqual(second);
    expect(product()).toBe(true);
  });

  it('keeps the options it was opened with, and says so when asked for others', async () => {
    await m.openBackend('wasm', { threads: 1 });
    for (const options of [{}, { threads: 1 }, { threads: undefined }])
      await expect(m.openBackend('wasm', options)).resolves.toMatchObject({ threads: 1 });
    await expect(m.openBackend('wasm', { threads: 2 })).rejects.toThrow(
      expect.objectContaining({
        code: 'config',
        where: 'openBackend(threads)',
        message: expect.stringContaining('open already, with 1, not 2'),
      }),
    );
    await m.closeBackend();
    expect(await m.openBackend('wasm', { threads: 2 })).toMatchObject({ threads: 2 });
  });

  it('chooses the best that works, and says why not the others', async () => {
    const report = await m.openBackend();
    expect(['webgpu', 'wasm']).toContain(report.name);
    expect(report.software).toBe(false);
    if (report.name === 'wasm')
      expect(report.rejected).toEqual([{ name: 'webgpu', reason: expect.any(String) }]);
  });

  it('throws with the reason when the one asked for does not work', async () => {
    vi.stubGlobal('WebAssembly', { ...WebAssembly, validate: () => false });
    await expect(m.openBackend('wasm')).rejects.toThrow(
      expect.objectContaining({
        code: 'backend',
        where: "openBackend('wasm')",
        message: expect.stringContaining('no WebAssembly SIMD'),
      }),
    );
    vi.unstubAllGlobals();
    await expect(m.openBackend('wasm')).resolves.toMatchObject({ name: 'wasm' });
  });

  it('frees the tensors of a closed backend', async () => {
    await m.openBackend('wasm');
    const x = m.ones([4]);
    await m.closeBackend();
    await m.openBackend('cpu');
    expect(() => host(m.add(x, 1))).toThrow();
    expect(engine().backendName).toBe('cpu');
  });

  it('is healthy when nothing was reported', async () => {
    await m.openBackend('cpu');
    expect(() => m.assertBackendHealthy()).not.toThrow();
  });
});

describe('doctor', () => {
  afterEach(() => m.closeBackend());

  it('tries every backend, and gives a reason for each that does not work', async () => {
    const { findings, automatic } = await m.doctor();
    expect(findings.map(({ name }) => name)).toEqual(['webgpu', 'wasm', 'cpu', 'webgpu-software']);
    for (const { works, reason, report } of findings) expect(works ? report : reason).toBeTruthy();
    expect(findings.filter(({ name }) => name === 'wasm' || name === 'cpu').every(({ works }) => works)).toBe(
      true,
    );
    expect(['webgpu', 'wasm']).toContain(automatic);
  });

  it('leaves the current backend as it was', async () => {
    await m.openBackend('wasm');
    const x = m.tensor2d([
      [1, 2],
      [3, 4],
    ]);
    await m.doctor();
    expect(engine().backendName).toBe('wasm');
    expect(host(m.matMul(x, x))).toEqual([7, 10, 15, 22]);
    expect(product()).toBe(true);
  });

  it('is formatted as a line for each backend', () => {
    const text = m.formatDoctor({
      runtime: 'Node 20',
      cores: 2,
      automatic: 'wasm',
      findings: [
        { name: 'webgpu', works: false, reason: 'no adapter' },
        {
          name: 'wasm',
          works: true,
          report: {
            name: 'wasm',
            features: [],
            limits: {},
            threads: 1,
            simd: true,
            software: false,
            rejected: [{ name: 'wasm threads', reason: 'not isolated' }],
          },
        },
      ],
    });
    expect(text).toBe(
      'Node 20, 2 cores\n  ✗ webgpu  no adapter\n  ✓ wasm    SIMD, 1 thread (default)\n    no wasm threads: not isolated',
    );
  });
});
