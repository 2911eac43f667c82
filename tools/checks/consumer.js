// A user's empty project outside the workspace, with the packed packages installed by npm.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pack, root } from './packages.js';

const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/**
 * Makes the project, lets `work` use it, and removes it.
 *
 * @template T
 * @param {(folder: string) => T | Promise<T>} work
 * @param {string[]} [alongside] what else the user has installed, at the version of the workspace
 * @returns {Promise<T>}
 */
export async function inConsumerProject(work, alongside = []) {
  const folder = mkdtempSync(join(tmpdir(), 'mnemix-consumer-'));
  try {
    const tarballs = Object.entries(pack()).map(([name, path]) => [name, `file:${path}`]);
    const dependencies = Object.fromEntries(tarballs);
    const manifest = {
      private: true,
      type: 'module',
      dependencies,
      devDependencies: Object.fromEntries(
        ['@types/node', ...alongside].map((name) => [name, devDependencies[name]]),
      ),
      // The packages are not in the registry yet: their dependencies on each other are these tarballs too.
      overrides: Object.fromEntries(tarballs.map(([name]) => [name, `$${name}`])),
    };
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline'], {
      cwd: folder,
      stdio: 'inherit',
      shell: process.platform === 'win32',
    });
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Type-checks TypeScript files of the project against the packed declarations, and writes their JavaScript to out/.
 *
 * @param {string} folder
 * @param {string[]} files
 */
export function compile(folder, files) {
  const config = {
    compilerOptions: {
      target: 'es2022',
      module: 'nodenext',
      lib: ['ES2023', 'DOM', 'DOM.AsyncIterable'],
      types: ['node'],
      strict: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: true,
      rootDir: '.',
      outDir: 'out',
    },
    files,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', folder], { cwd: folder, stdio: 'inherit' });
}
