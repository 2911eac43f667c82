// Compute pipelines, compiled at first use and kept for each device.
import { MnemixError } from '@mnemix/tensor';
import { checkLater } from './checks.ts';
import type { GpuKernel } from './kernel.ts';

export interface Compiled {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** The error of the compilation, if there is one. */
  readonly outcome: Promise<MnemixError | undefined>;
  /** It has compiled, and run once, without an error. */
  isProven: boolean;
}

/** By module text, then by all else that a pipeline is made of. */
const compiled = new WeakMap<GPUDevice, Map<string, Map<string, Compiled>>>();

/**
 * The pipeline of a kernel on a device. Whether it is valid is known only later: an invalid one throws at the
 * next read, and at whatever follows on the device, with the WGSL messages.
 *
 * @param hasUniforms whether a uniform buffer follows the kernel's bindings
 */
export function pipelineOf(device: GPUDevice, kernel: GpuKernel, hasUniforms: boolean): Compiled {
  const modules = getOrAdd(compiled, device, () => new Map<string, Map<string, Compiled>>());
  const variants = getOrAdd(modules, kernel.wgsl, () => new Map<string, Compiled>());
  const variant = JSON.stringify([kernel.bindings, kernel.constants, hasUniforms]);
  return getOrAdd(variants, variant, () => compile(device, kernel, hasUniforms));
}

function compile(
  device: GPUDevice,
  { name, wgsl, bindings, constants = {} }: GpuKernel,
  hasUniforms: boolean,
): Compiled {
  // A driver that fails on a valid module reports an internal error.
  device.pushErrorScope('internal');
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: name, code: wgsl });
  const types: GPUBufferBindingType[] = bindings.map((access) =>
    access === 'read' ? 'read-only-storage' : 'storage',
  );
  if (hasUniforms) types.push('uniform');
  const layout = device.createBindGroupLayout({
    label: name,
    entries: types.map((type, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type },
    })),
  });
  const pipeline = device.createComputePipeline({
    label: name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main', constants },
  });
  const scopes = [device.popErrorScope(), device.popErrorScope()];
  const inspect = async (): Promise<MnemixError | undefined> => {
    const error = (await Promise.all(scopes)).find((found) => found !== null);
    if (!error) return undefined;
    const { messages } = await module.getCompilationInfo();
    const lines = messages.map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`);
    return invalid(name, lines.join('\n') || error.message, { messages: lines, constants });
  };
  const entry: Compiled = { name, pipeline, layout, outcome: inspect(), isProven: false };
  checkLater(device, () => entry.outcome);
  return entry;
}

/**
 * Runs `use` so that what the device objects to is told as this kernel's error: for uses of a pipeline that
 * is not proven yet. The use must be a submit of its own, lest it take others' work down with it.
 */
export function probe(device: GPUDevice, entry: Compiled, use: () => void): void {
  device.pushErrorScope('validation');
  use();
  const scope = device.popErrorScope();
  checkLater(device, async () => {
    const [compilation, error] = await Promise.all([entry.outcome, scope]);
    // An invalid pipeline fails again here; that is told already.
    if (compilation) return undefined;
    if (!error) {
      entry.isProven = true;
      return undefined;
    }
    return invalid(entry.name, error.message);
  });
}

const invalid = (name: string, message: string, detail?: Readonly<Record<string, unknown>>): MnemixError =>
  new MnemixError({
    code: 'kernel',
    where: name,
    message: `the WGSL kernel is invalid on this device: ${message}`,
    fix: 'Report it with the name of the device; the wasm backend runs without WebGPU.',
    ...(detail && { detail }),
  });

function getOrAdd<K, V>(
  map: { get(key: K): V | undefined; set(key: K, value: V): unknown },
  key: K,
  make: () => V,
): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}
