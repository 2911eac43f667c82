// The trainer as a program of its own, made of the sources, so that tests can run and kill it without a build.
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { wgsl } from '../../../tools/config/wgsl.js';
import { temporaryFolder } from './folder.ts';

/** Bundles a file of the trainer, with everything that it imports. Returns the path of the program. */
export async function bundle(entry: string): Promise<string> {
  const file = join(temporaryFolder(), 'program.mjs');
  const bundled = await rolldown({
    input: fileURLToPath(new URL(`../${entry}`, import.meta.url)),
    platform: 'node',
    resolve: { conditionNames: ['@mnemix/source', 'node', 'import', 'default'] },
    external: [/^node:/, 'webgpu'],
    transform: { target: 'es2022' },
    plugins: [wgsl()],
    onLog: () => {},
  });
  await bundled.write({ file, format: 'es', codeSplitting: false });
  await bundled.close();
  return file;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end.
 *
 * @param onOutput called whenever it has printed something, with all that it has printed so far
 */
export function runProgram(
  program: string,
  args: readonly string[],
  onOutput: (stdout: string, child: ChildProcess) => void = () => {},
): Promise<Exit> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onOutput(stdout, child);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
}
