// WebGPU in Node: the optional package `webgpu`, which is Dawn, the implementation inside Chromium.
import { builtin } from './environment.ts';

/** Must stay referenced while a device is in use: once collected, the process dies. One for each process. */
let instance: GPU | undefined;

/** Off by default in Dawn, and wanted by kernels: half precision on NVIDIA, matrix units. And timestamps are exact. */
const TOGGLES = [
  'enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia',
  'disable-dawn-features=timestamp_quantization',
];

/** The package's name as a variable, so that no bundler tries to resolve what is optional. */
const PACKAGE = 'webgpu';

/**
 * Dawn's `GPU`, put where tfjs looks for it.
 *
 * @throws Error with the reason when there is no GPU, or no such package
 */
export async function dawn(software: boolean): Promise<GPU> {
  if (!software && !hasGpuDevice())
    throw new Error('this machine has no GPU device (/dev/dri, /dev/nvidia*)');
  if (!instance) {
    const { create, globals } = await import(/* @vite-ignore */ PACKAGE).catch(() => {
      throw new Error('the optional package `webgpu` is not installed');
    });
    Object.assign(globalThis, globals);
    instance = create(TOGGLES) as GPU;
  }
  if (!globalThis.navigator)
    Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true, writable: true });
  Object.defineProperty(globalThis.navigator, 'gpu', { value: instance, configurable: true });
  return instance;
}

/** Lets the process end: a `GPU` that is reachable from the global object holds it open. */
export function releaseDawn(): void {
  if (instance && globalThis.navigator?.gpu === instance) delete (globalThis.navigator as { gpu?: GPU }).gpu;
}

/** Dawn complains on the terminal where there is no Vulkan; on Linux, a glance at the devices saves asking. */
function hasGpuDevice(): boolean {
  if (process.platform !== 'linux') return true;
  const { existsSync } = builtin('node:fs');
  return ['/dev/dri', '/dev/nvidia0', '/dev/nvidiactl', '/dev/dxg', '/dev/kfd'].some((path) =>
    existsSync(path),
  );
}
