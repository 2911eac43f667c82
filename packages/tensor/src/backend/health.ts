// WebGPU reports errors late and out of line: an invalid shader or a lost device throws nothing, and what is read
// back is the stale content of some recycled buffer (trap 2). So we listen, and refuse to go on after an error.
import { engine, type KernelBackend } from '@tensorflow/tfjs-core';
import { MnemixError } from '../errors.ts';

const failures = new WeakMap<KernelBackend, MnemixError>();

/**
 * Throws what the current backend's device has reported since it was opened; the first error, on every call.
 *
 * Called by itself before a stock WebGPU kernel runs and around every asynchronous read.
 *
 * @throws MnemixError `kernel` after a validation or internal error, `backend` after a lost device or lack of memory
 */
export function assertBackendHealthy(): void {
  if (engine().backendName) assertHealthy(engine().backend);
}

function assertHealthy(instance: KernelBackend): void {
  const failure = failures.get(instance);
  if (failure) throw failure;
}

/** The parts of tfjs's WebGPU backend through which every result passes. */
interface Guarded {
  read(dataId: object): Promise<unknown>;
  runWebGPUProgram(...args: unknown[]): unknown;
}

/** Records the errors of `device`, and makes the next call on `instance` throw them. */
export function watchDevice(device: GPUDevice, instance: KernelBackend): void {
  const record = (failure: MnemixError): void => {
    if (!failures.has(instance)) failures.set(instance, failure);
  };
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    record(deviceError(event.error));
  });
  void device.lost.then(({ reason, message }) => {
    if (reason !== 'destroyed') record(deviceLost(message));
  });

  const guarded = instance as unknown as Guarded;
  const { read, runWebGPUProgram } = guarded;
  guarded.read = async (dataId) => {
    assertHealthy(instance);
    const values = await read.call(instance, dataId);
    assertHealthy(instance);
    return values;
  };
  guarded.runWebGPUProgram = (...args) => {
    assertHealthy(instance);
    return runWebGPUProgram.apply(instance, args);
  };
}

function deviceError(error: GPUError): MnemixError {
  const outOfMemory = error.constructor.name === 'GPUOutOfMemoryError';
  return new MnemixError({
    code: outOfMemory ? 'backend' : 'kernel',
    where: 'webgpu',
    message: `${outOfMemory ? 'the device has no memory left' : 'the device rejected a command'}: ${error.message}`,
    fix: outOfMemory
      ? 'Use a smaller batch or model, then open the backend again: closeBackend(), openBackend().'
      : 'Results since then are not to be trusted. Report the message, and open the backend again: closeBackend(), openBackend().',
    cause: error,
  });
}

const deviceLost = (message: string): MnemixError =>
  new MnemixError({
    code: 'backend',
    where: 'webgpu',
    message: `the device was lost: ${message}.`,
    fix: 'Its tensors are gone. Continue from a checkpoint after closeBackend(), openBackend().',
  });
