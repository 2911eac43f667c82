// The WebGPU adapter of the test run, as the environment tells: tools/webgpu finds one and says so.
import { closeBackend, openBackend } from '@mnemix/tensor';
import { engine, env } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe } from 'vitest';

const { MNEMIX_WEBGPU: kind = 'none', MNEMIX_WEBGPU_REASON: reason = 'MNEMIX_WEBGPU is not set' } = process.env;
const isThere = kind === 'software' || kind === 'real';

/** A suite on WebGPU; skipped, with the reason in its name, where there is no adapter. */
export function describeOnWebgpu(name: string, suite: () => void): void {
  describe.skipIf(!isThere)(isThere ? `${name} on webgpu` : `${name} on webgpu (skipped: ${reason})`, () => {
    beforeAll(async () => {
      await openBackend(kind === 'real' ? 'webgpu' : 'webgpu-software');
      // Otherwise tfjs computes small tensors on the CPU.
      env().set('WEBGPU_CPU_FORWARD', false);
    });
    afterAll(closeBackend);
    suite();
  });
}

/** What tfjs's own kernels go through; ours do not. */
export const stockPrograms = () => engine().backend as unknown as { runWebGPUProgram(...args: unknown[]): unknown };
