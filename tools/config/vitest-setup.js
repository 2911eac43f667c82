// What every test run needs first, however it is started: the compiled SIMD kernels, and a WebGPU adapter in the
// environment that the test processes inherit.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { provideAdapter } from '../webgpu/adapter.js';

export default function setup() {
  const build = join(import.meta.dirname, '../../packages/kernels/build-wasm.js');
  execFileSync(process.execPath, [build], { stdio: 'inherit' });
  provideAdapter();
  // Test files run side by side already: threads of their own would only wait for each other.
  process.env.MNEMIX_THREADS ??= '1';
}
