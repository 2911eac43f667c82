// Compute pipelines, compiled at first use and kept for each device.
import { MnemixError } from '@mnemix/tensor';
import { checkLater } from './checks.ts';
import type { GpuKernel } from './kernel.ts';

export interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Set when it turned out to be invalid. */
  error?: MnemixError;
}

/** By module text, then by all else that a pipeline is made of. */
const compiled = new WeakMap<GPUDevice, Map<string, Map<string, Compiled>>>();

/**
 * The pipeline of a kernel on a device. Its validity is known only later: an invalid one throws from the second use
 * on, and from the next read.
 *
 * @param hasUniforms whether a uniform buffer follows the kernel's bindings
 * @throws MnemixError `kernel` with the WGSL messages, where an earlier use has shown it to be invalid
 */
export function pipelineOf(device: GPUDevice, kernel: GpuKernel, hasUniforms: boolean): Compiled {
  const modules = getOrAdd(compiled, device, () => new Map<string, Map<string, Compiled>>());
  const variants = getOrAdd(modules, kernel.wgsl, () => new Map<string, Compiled>());
  const variant = JSON.stringify([kernel.bindings, kernel.constants, hasUniforms]);
  const entry = getOrAdd(variants, variant, () => compile(device, kernel, hasUniforms));
  if (entry.error) throw entry.error;
  return entry;
}

function compile(device: GPUDevice, { name, wgsl, bindings, constants = {} }: GpuKernel, hasUniforms: boolean): Compiled {
  // A driver that fails on a valid module reports an internal error.
  device.pushErrorScope('internal');
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: name, code: wgsl });
  const types: GPUBufferBindingType[] = bindings.map((access) => (access === 'read' ? 'read-only-storage' : 'storage'));
  if (hasUniforms) types.push('uniform');
  const layout = device.createBindGroupLayout({
    label: name,
    entries: types.map((type, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } })),
  });
  const pipeline = device.createComputePipeline({
    label: name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main', constants },
  });
  const entry: Compiled = { pipeline, layout };
  const scopes = [device.popErrorScope(), device.popErrorScope()];
  checkLater(device, async () => {
    const error = (await Promise.all(scopes)).find((found) => found !== null);
    if (!error) return undefined;
    const { messages } = await module.getCompilationInfo();
    const lines = messages.map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`);
    entry.error = new MnemixError({
      code: 'kernel',
      where: name,
      message: `the WGSL kernel is invalid on this device: ${lines.join('\n') || error.message}`,
      fix: 'Report it with the name of the device; the wasm backend runs without WebGPU.',
      detail: { messages: lines, constants },
    });
    return entry.error;
  });
  return entry;
}

function getOrAdd<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown }, key: K, make: () => V,
): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
