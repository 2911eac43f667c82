// Runs the WebGPU tests on the adapter that is found. Without one they fail under CI and are skipped elsewhere.
import { spawnSync } from 'node:child_process';
import { cannotRun, note } from '../checks/note.js';
import { provideAdapter } from './adapter.js';

provideAdapter();
const { MNEMIX_WEBGPU: kind, MNEMIX_WEBGPU_REASON: reason = 'chosen by MNEMIX_WEBGPU' } = process.env;
if (kind === 'none') cannotRun(`no WebGPU adapter: ${reason}`);

console.log(`adapter: ${kind}, ${reason}`);
note(`${kind} adapter, ${reason}`);
// A software adapter takes a minute to compile some kernels.
const { status } = spawnSync('vitest run .webgpu.test.ts --testTimeout=300000 --hookTimeout=300000', {
  stdio: 'inherit',
  shell: true,
});
process.exit(status ?? 1);
