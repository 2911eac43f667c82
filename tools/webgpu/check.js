// Runs the WebGPU tests on the adapter that is found. Without one they fail under CI and are skipped elsewhere.
import { spawnSync } from 'node:child_process';
import { note, SKIPPED } from '../checks/note.js';
import { provideAdapter } from './adapter.js';

provideAdapter();
const { MNEMIX_WEBGPU: kind, MNEMIX_WEBGPU_REASON: reason } = process.env;
const ci = process.env.CI !== undefined && process.env.CI !== 'false' && process.env.CI !== '';

if (kind === 'none') {
  const text = `no WebGPU adapter: ${reason ?? 'switched off by MNEMIX_WEBGPU=none'}`;
  console.error(text);
  note(text);
  process.exit(ci ? 1 : SKIPPED);
}
console.log(`adapter: ${kind}, ${reason}`);
note(`${kind} adapter, ${reason}`);
const { status } = spawnSync('vitest run .webgpu.test.ts', { stdio: 'inherit', shell: true });
process.exit(status ?? 1);
