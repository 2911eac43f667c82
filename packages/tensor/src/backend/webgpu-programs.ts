// What surrounds the programs of tfjs's own WebGPU kernels: tensors that the device cannot hold, and workgroups that it does not run,
// are refused before anything was made, lack of memory is told with the program's name, and each is timed while a profile is taken.
import type { KernelBackend, TensorInfo } from '@tensorflow/tfjs-core';
import { MnemixError } from '../errors.ts';
import type { BufferPool } from './buffer-pool.ts';
import { checkTensorFits, deviceBytes } from './webgpu-limits.ts';
import { passTimestamps } from './webgpu-profile.ts';

interface Program {
  readonly outputShape: readonly number[];
  readonly dispatch: readonly number[];
  readonly dispatchLayout: { readonly y?: readonly number[]; readonly z?: readonly number[] };
}

/** The parts of tfjs's WebGPU backend through which programs pass; some are private there, in TypeScript only. */
interface ProgramBackend {
  readonly device: GPUDevice;
  readonly bufferManager: BufferPool;
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  uploadToGPU(dataId: object): void;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  runWebGPUProgram(program: Program, inputs: TensorInfo[], ...rest: unknown[]): TensorInfo;
}

export function supervisePrograms(instance: KernelBackend): void {
  const backend = instance as unknown as ProgramBackend;
  const { runWebGPUProgram } = backend;
  backend.runWebGPUProgram = (program, inputs, ...rest) => {
    const name = nameOf(program);
    checkTensorFits(backend.device, name, 'output', program.outputShape);
    inputs.forEach(({ shape }, i) => checkTensorFits(backend.device, name, `input ${i}`, shape));
    checkDispatch(backend.device, name, program);
    backend.bufferManager.owner = name;
    const bytes = (): number =>
      [program.outputShape, ...inputs.map(({ shape }) => shape)]
        .map(deviceBytes)
        .reduce((sum, each) => sum + each, 0);
    const timestampWrites = passTimestamps(instance, () => ({ name, bytes: bytes() }));
    if (!timestampWrites) return runWebGPUProgram.call(backend, program, inputs, ...rest);
    // Buffers for them may have to be made, which can fail: before the pass is opened.
    for (const { dataId } of inputs) backend.uploadToGPU(dataId);
    backend.endComputePassEncoder();
    backend.ensureCommandEncoderReady();
    backend.computePassEncoder = (backend.commandEncoder as GPUCommandEncoder).beginComputePass({
      label: name,
      timestampWrites,
    });
    try {
      return runWebGPUProgram.call(backend, program, inputs, ...rest);
    } finally {
      backend.endComputePassEncoder();
    }
  };
}

/** A program of one dimension is spread over others; in those of several the workgroups are what they are. */
function checkDispatch({ limits }: GPUDevice, where: string, { dispatch, dispatchLayout }: Program): void {
  const most = limits.maxComputeWorkgroupsPerDimension;
  if (!(dispatchLayout.y || dispatchLayout.z) || dispatch.every((count) => count <= most)) return;
  throw new MnemixError({
    code: 'backend',
    where,
    message: `it takes ${dispatch.join(' × ')} workgroups, and this device runs ${most} in a dimension.`,
    fix: 'Use a smaller batch or shorter sequences.',
    detail: { dispatch: [...dispatch], most },
  });
}

/** E.g. `BinaryOpProgram`. */
const nameOf = (program: Program): string => program.constructor.name;
