// Suites that need a WebGPU adapter. The test run finds one (tools/webgpu) and says so in the environment.
import { describe } from 'vitest';

const { MNEMIX_WEBGPU: kind = 'none', MNEMIX_WEBGPU_REASON: reason = 'MNEMIX_WEBGPU is not set' } =
  process.env;

/** The name that `openBackend` takes, or undefined where there is no adapter. */
export const webgpuBackend = ({ software: 'webgpu-software', real: 'webgpu' } as const)[kind];

/** A suite on WebGPU; skipped where there is no adapter, with the reason in its name. */
export function describeOnWebgpu(name: string, suite: (backend: 'webgpu' | 'webgpu-software') => void): void {
  if (webgpuBackend) describe(`${name} on ${webgpuBackend}`, () => suite(webgpuBackend));
  else describe.skip(`${name} on webgpu (skipped: ${reason})`, () => suite('webgpu'));
}
