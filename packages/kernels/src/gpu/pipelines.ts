// Compute pipelines, compiled at first use and kept for each device.
import { MnemixError } from '@mnemix/tensor';
import { checkLater } from './checks.ts';
import type { Access, GpuKernel } from './kernel.ts';

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
 * @param describeUse the op and its shapes, for the error
 */
export function pipelineOf(
  device: GPUDevice,
  kernel: GpuKernel,
  hasUniforms: boolean,
  describeUse?: () => string,
): Compiled {
  const variants = variantsOf(device, kernel);
  return getOrAdd(variants, variantOf(kernel, hasUniforms), () =>
    compile(device, kernel, hasUniforms, describeUse),
  );
}

const variantsOf = (device: GPUDevice, { wgsl }: GpuKernel): Map<string, Compiled> =>
  getOrAdd(
    getOrAdd(compiled, device, () => new Map<string, Map<string, Compiled>>()),
    wgsl,
    () => new Map<string, Compiled>(),
  );

/** All that a pipeline is made of beside the text. */
const variantOf = ({ bindings, constants = {} }: GpuKernel, hasUniforms: boolean): string =>
  // Not JSON, which writes null for NaN and for infinities.
  `${bindings.join()} ${hasUniforms} ${Object.entries(constants).join(' ')}`;

function compile(
  device: GPUDevice,
  kernel: GpuKernel,
  hasUniforms: boolean,
  describeUse?: () => string,
): Compiled {
  // A driver that fails on a valid module reports an internal error.
  device.pushErrorScope('internal');
  device.pushErrorScope('validation');
  const { layout, module, descriptor } = describe(device, kernel, hasUniforms);
  const pipeline = device.createComputePipeline(descriptor);
  const scopes = [device.popErrorScope(), device.popErrorScope()];
  const inspect = async (): Promise<MnemixError | undefined> => {
    const error = (await Promise.all(scopes)).find((found) => found !== null);
    return error && explain(kernel, module, error.message, describeUse?.());
  };
  const entry: Compiled = { name: kernel.name, pipeline, layout, outcome: inspect(), isProven: false };
  checkLater(device, () => entry.outcome);
  return entry;
}

const BINDING_TYPES: Readonly<Record<Access, GPUBufferBindingType>> = {
  read: 'read-only-storage',
  write: 'storage',
  uniform: 'uniform',
};

interface Described {
  readonly layout: GPUBindGroupLayout;
  readonly module: GPUShaderModule;
  readonly descriptor: GPUComputePipelineDescriptor;
}

function describe(
  device: GPUDevice,
  { name, wgsl, bindings, constants = {} }: GpuKernel,
  hasUniforms: boolean,
): Described {
  const module = device.createShaderModule({ label: name, code: wgsl });
  const types: GPUBufferBindingType[] = bindings.map((access) => BINDING_TYPES[access]);
  if (hasUniforms) types.push('uniform');
  const layout = device.createBindGroupLayout({
    label: name,
    entries: types.map((type, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type },
    })),
  });
  const descriptor = {
    label: name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: 'main', constants },
  };
  return { layout, module, descriptor };
}

/** The error of a kernel that does not compile, with the messages of its module if there are any. */
async function explain(
  { name, constants = {} }: GpuKernel,
  module: GPUShaderModule,
  message: string,
  use?: string,
): Promise<MnemixError> {
  const { messages } = await module.getCompilationInfo();
  const lines = messages.map(({ lineNum, linePos, message: text }) => `${lineNum}:${linePos} ${text}`);
  return invalid(name, lines.join('\n') || message, { messages: lines, constants, use });
}

/** Pipelines on their way, while a device compiles ahead. */
const ahead = new WeakMap<GPUDevice, Map<string, Promise<MnemixError | undefined>>>();

/** True inside {@link compilingAhead}: kernels are not to be dispatched, only compiled. */
export const isCompilingAhead = (device: GPUDevice): boolean => ahead.has(device);

/** Compiles a kernel side by side with others, unless there is a pipeline of it. Only inside {@link compilingAhead}. */
export function compileAhead(device: GPUDevice, kernel: GpuKernel, hasUniforms: boolean): void {
  const variants = variantsOf(device, kernel);
  const variant = variantOf(kernel, hasUniforms);
  if (variants.has(variant)) return;
  const start = async (): Promise<MnemixError | undefined> => {
    device.pushErrorScope('internal');
    device.pushErrorScope('validation');
    const { layout, module, descriptor } = describe(device, kernel, hasUniforms);
    const scopes = [device.popErrorScope(), device.popErrorScope()];
    try {
      const pipeline = await device.createComputePipelineAsync(descriptor);
      const outcome = Promise.resolve(undefined);
      variants.set(variant, { name: kernel.name, pipeline, layout, outcome, isProven: false });
      return undefined;
    } catch (error) {
      return await explain(kernel, module, error instanceof Error ? error.message : String(error));
    } finally {
      // Told by the pipeline already; a lost device is told elsewhere.
      await Promise.allSettled(scopes);
    }
  };
  getOrAdd(ahead.get(device) as Map<string, unknown>, `${variant} ${kernel.wgsl}`, start);
}

/**
 * Runs `run`, in which kernels are compiled and nothing is dispatched, and waits for what they were compiled to.
 *
 * @throws MnemixError `kernel` for the first that is invalid
 */
export async function compilingAhead(device: GPUDevice, run: () => Promise<void>): Promise<void> {
  const pending = new Map<string, Promise<MnemixError | undefined>>();
  ahead.set(device, pending);
  try {
    await run();
  } finally {
    ahead.delete(device);
  }
  const failure = (await Promise.all(pending.values())).find((found) => found !== undefined);
  if (failure) throw failure;
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

const invalid = (
  name: string,
  message: string,
  detail: Readonly<Record<string, unknown>> & { readonly use?: string | undefined } = {},
): MnemixError =>
  new MnemixError({
    code: 'kernel',
    where: name,
    message: `the WGSL kernel is invalid on this device: ${message}${detail.use ? `\nFirst used for ${detail.use}.` : ''}`,
    fix: 'Report it with the name of the device; the wasm backend runs without WebGPU.',
    detail,
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
