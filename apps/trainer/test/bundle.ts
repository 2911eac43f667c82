// The trainer as a program of its own, made of the sources, so that tests can run and kill it without a build.
import { spawn, type ChildProcess } from 'node:child_process';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown, type Plugin } from 'rolldown';
import { wgsl } from '../../../tools/config/wgsl.js';
import { temporaryFolder } from './folder.ts';

/** Leaves npm's packages where they are, and lets modules know where they came from. */
const inPlace: Plugin = {
  name: 'in-place',
  async resolveId(id, importer) {
    if (importer === undefined || /^(\.|\/|@mnemix\/)/.test(id) || isBuiltin(id)) return null;
    const found = await this.resolve(id, importer, { skipSelf: true });
    return found && { id: pathToFileURL(found.id).href, external: true };
  },
  transform: (code, id) => code.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href)),
};

/** Bundles a file of the trainer with all of the workspace that it imports. Returns the path of the program. */
export async function bundle(entry: URL): Promise<string> {
  const dir = temporaryFolder();
  const bundled = await rolldown({
    input: fileURLToPath(entry),
    platform: 'node',
    resolve: { conditionNames: ['@mnemix/source', 'node', 'import'], mainFields: ['main'] },
    transform: { target: 'es2022' },
    plugins: [inPlace, wgsl()],
  });
  const { output } = await bundled.write({
    dir,
    format: 'es',
    entryFileNames: '[name].mjs',
    chunkFileNames: '[name].mjs',
  });
  await bundled.close();
  return join(dir, output[0].fileName);
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
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  );
}
