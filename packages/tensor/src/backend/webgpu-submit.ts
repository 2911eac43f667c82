// The device of tfjs's WebGPU backend, and sending off what has been recorded for it.
import { engine } from '@tensorflow/tfjs-core';

/** The parts of the backend that this needs. */
export interface Submitter {
  readonly device: GPUDevice;
  readonly commandEncoder: GPUCommandEncoder | null;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/** Submits what has been recorded so far, if anything. */
export function submitRecorded(backend: Submitter): void {
  if (!backend.commandEncoder) return;
  backend.endComputePassEncoder();
  backend.submitQueue();
}

/** The WebGPU device of the current backend, if it has one. */
export const currentDevice = (): GPUDevice | undefined =>
  engine().backendName === 'webgpu' ? (engine().backend as unknown as Submitter).device : undefined;
