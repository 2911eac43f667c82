// Dawn's null backend runs nothing at all, but has every feature: it compiles what no software adapter can run, so that such WGSL is
// at least checked everywhere.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { expect } from 'vitest';
import { tensorsBound, type GpuPlan } from '../../src/gpu/kernel.ts';

const FEATURES = ['shader-f16', 'chromium-experimental-subgroup-matrix'] as unknown as GPUFeatureName[];

/** Must stay referenced for as long as the device is used. */
let instance: GPU;

/** A device with what kernels on matrix units need, or undefined where Dawn is missing, which is an optional package of `tensor`. */
export async function openNullDevice(): Promise<GPUDevice | undefined> {
  const fromTensor = createRequire(new URL('../../../tensor/package.json', import.meta.url));
  try {
    const { create, globals } = await import(pathToFileURL(fromTensor.resolve('webgpu')).href);
    Object.assign(globalThis, globals);
    instance = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']) as GPU;
  } catch {
    return undefined;
  }
  const adapter = await instance.requestAdapter();
  if (!adapter || !FEATURES.every((feature) => adapter.features.has(feature))) return undefined;
  return adapter.requestDevice({ requiredFeatures: FEATURES });
}

/** What a large device allows, for plans: the null backend allows the least that WebGPU does. */
export const roomyDevice = {
  features: new Set(['subgroups']),
  limits: {
    maxBufferSize: 2 ** 31,
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupStorageSize: 49_152,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxStorageBufferBindingSize: 2 ** 31,
    maxStorageBuffersPerShaderStage: 16,
  },
} as unknown as GPUDevice;

/** A device that binds no more storage buffers in a stage than this. */
export const binding = (maxStorageBuffersPerShaderStage: number) =>
  ({ ...roomyDevice, limits: { ...roomyDevice.limits, maxStorageBuffersPerShaderStage } }) as GPUDevice;

/** The storage buffers that the stage of the plans has which has the most. */
export const mostBindings = (plans: readonly (GpuPlan | undefined)[]): number =>
  Math.max(...plans.flatMap((plan) => plan?.dispatches ?? []).map(({ kernel }) => tensorsBound(kernel)));

/** Expects all texts of a plan to be valid. Pipelines may need more than the null backend has. */
export async function expectValidTexts(
  device: GPUDevice | undefined,
  { dispatches }: GpuPlan,
): Promise<void> {
  expect(device, 'Dawn with its null backend').toBeDefined();
  for (const { kernel } of dispatches) {
    const { messages } = await (device as GPUDevice)
      .createShaderModule({ code: kernel.wgsl })
      .getCompilationInfo();
    const errors = messages.filter(({ type }) => type === 'error');
    expect(
      errors.map(({ lineNum, message }) => `${lineNum}: ${message}`),
      kernel.name,
    ).toEqual([]);
  }
}
