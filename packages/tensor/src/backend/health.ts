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
 * @throws MnemixError `kernel` after a validation or internal error, `backend` after lack of memory, `lost` after the device was
 *   lost, whatever it had reported before
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

/** What watches over a device. */
export interface Watch {
  /** Makes the next call on the backend throw this, unless it throws something already. */
  fail(failure: MnemixError): void;
  /** From now on the loss of the device is no error: we are about to destroy it. */
  expectLoss(): void;
}

/** Records the errors of `device`, and makes the next call on `instance` throw them. */
export function watchDevice(device: GPUDevice, instance: KernelBackend): Watch {
  let isLossExpected = false;
  const fail = (failure: MnemixError): void => {
    if (!failures.has(instance)) failures.set(instance, failure);
  };
  device.addEventListener('uncapturederror', (event) => {
    event.preventDefault();
    fail(deviceError(event.error));
  });
  const lost = device.lost.then(({ message }) => {
    if (!isLossExpected) failures.set(instance, deviceLost(message));
  });

  const guarded = instance as unknown as Guarded;
  const { read, runWebGPUProgram } = guarded;
  guarded.read = async (dataId) => {
    assertHealthy(instance);
    let values: unknown;
    try {
      values = await read.call(instance, dataId);
    } catch (error) {
      // A read that fails because the device is gone may be told before the loss itself.
      await Promise.race([lost, nextTurn()]);
      assertHealthy(instance);
      throw error;
    }
    assertHealthy(instance);
    return values;
  };
  guarded.runWebGPUProgram = (...args) => {
    assertHealthy(instance);
    return runWebGPUProgram.apply(instance, args);
  };
  return { fail, expectLoss: () => (isLossExpected = true) };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

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
    code: 'lost',
    where: 'webgpu',
    message: `the device was lost${message && `: ${message.replace(/\.$/, '')}`}.`,
    fix: 'Its tensors are gone. Continue from a checkpoint after closeBackend(), openBackend().',
  });
