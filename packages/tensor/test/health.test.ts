// What the guard around a WebGPU device does with its reports; on real devices see backend.webgpu.test.ts.
import type { KernelBackend } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { watchDevice } from '../src/backend/health.ts';

class GPUValidationError extends Error {}
class GPUOutOfMemoryError extends Error {}

function watched() {
  let lose: (info: { reason: string; message: string }) => void = () => {};
  const lost = new Promise((resolve) => {
    lose = resolve;
  });
  const device = Object.assign(new EventTarget(), { lost });
  const backend = { read: async () => 'values', runWebGPUProgram: () => 'output' };
  watchDevice(device as never, backend as unknown as KernelBackend);
  const report = (error: Error) =>
    device.dispatchEvent(Object.assign(new Event('uncapturederror', { cancelable: true }), { error }));
  return { backend, report, lose };
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

  it('says when the device is lost, but not when we destroyed it', async () => {
    const gone = watched();
    gone.lose({ reason: 'unknown', message: 'driver reset' });
    await Promise.resolve();
    expect(gone.backend.runWebGPUProgram).toThrow(
      expect.objectContaining({ code: 'backend', message: expect.stringContaining('driver reset') }),
    );
    const closed = watched();
    closed.lose({ reason: 'destroyed', message: '' });
    await Promise.resolve();
    expect(closed.backend.runWebGPUProgram()).toBe('output');
  });
});
