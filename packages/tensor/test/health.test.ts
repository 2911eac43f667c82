// What the guard around a WebGPU device does with its reports; on real devices see backend.webgpu.test.ts.
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { watchDevice } from '../src/backend/health.ts';
import { MnemixError } from '../src/errors.ts';

class GPUValidationError extends Error {}
class GPUOutOfMemoryError extends Error {}

function watched(read: () => Promise<string> = async () => 'values') {
  let lose: (info: { reason: string; message: string }) => void = () => {};
  const lost = new Promise((resolve) => {
    lose = resolve;
  });
  const device = Object.assign(new EventTarget(), { lost });
  const backend = { read, runWebGPUProgram: () => 'output' };
  const watch = watchDevice(device as never, backend as unknown as KernelBackend);
  const report = (error: Error) =>
    device.dispatchEvent(Object.assign(new Event('uncapturederror', { cancelable: true }), { error }));
  return { backend, report, lose, watch };
}

describe('a watched WebGPU device', () => {
  it('lets everything through while it is well', async () => {
    const { backend } = watched();
    expect(await backend.read()).toBe('values');
    expect(backend.runWebGPUProgram()).toBe('output');
  });

  it('fails every later call with the first error, which the console need not show', async () => {
    const { backend, report } = watched();
    expect(report(new GPUValidationError('bad WGSL'))).toBe(false);
    report(new GPUValidationError('a consequence'));
    await expect(backend.read()).rejects.toThrow(
      expect.objectContaining({ code: 'kernel', message: expect.stringContaining('bad WGSL') }),
    );
    expect(backend.runWebGPUProgram).toThrow(/bad WGSL/);
  });

  it('fails a read during which the error arrives', async () => {
    const { backend, report } = watched();
    const pending = backend.read();
    report(new GPUValidationError('bad binding'));
    await expect(pending).rejects.toThrow(/bad binding/);
  });

  it('says when memory ran out, and what to do', () => {
    const { backend, report } = watched();
    report(new GPUOutOfMemoryError('16 GiB'));
    expect(backend.runWebGPUProgram).toThrow(
      expect.objectContaining({ code: 'backend', fix: expect.stringContaining('smaller batch') }),
    );
  });

  it.each(['unknown', 'destroyed'])(
    'says when the device is lost (%s), whatever it said before',
    async (reason) => {
      const { backend, report, lose } = watched();
      report(new GPUValidationError('a buffer is gone'));
      lose({ reason, message: 'driver reset' });
      await Promise.resolve();
      expect(backend.runWebGPUProgram).toThrow(
        expect.objectContaining({ code: 'lost', message: expect.stringContaining('driver reset') }),
      );
    },
  );

  it('takes a read that fails for what it is when the device is lost', async () => {
    const { backend, lose } = watched((): Promise<string> => {
      setTimeout(() => lose({ reason: 'unknown', message: '' }));
      return Promise.reject(new Error('mapping aborted'));
    });
    await expect(backend.read()).rejects.toMatchObject({ code: 'lost' });
  });

  it('passes on a read that fails for another reason', async () => {
    const { backend } = watched(() => Promise.reject(new Error('no such tensor')));
    await expect(backend.read()).rejects.toThrow('no such tensor');
  });

  it('finds nothing in the loss of a device that we destroy', async () => {
    const { backend, lose, watch } = watched();
    watch.expectLoss();
    lose({ reason: 'destroyed', message: '' });
    await Promise.resolve();
    expect(backend.runWebGPUProgram()).toBe('output');
  });

  it('fails with what it is told by others', () => {
    const { backend, watch } = watched();
    watch.fail(new MnemixError({ code: 'backend', where: 'op', message: 'no memory.', fix: 'Less.' }));
    expect(backend.runWebGPUProgram).toThrow('op: no memory. Less.');
  });
});
