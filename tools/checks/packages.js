// The public packages, and their tarballs as they would be published.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** @typedef {{ name: string, folder: string, manifest: any }} Package */

/** @type {Package[]} */
export const publicPackages = readdirSync(join(root, 'packages')).map((directory) => {
  const folder = join(root, 'packages', directory);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return { name: manifest.name, folder, manifest };
});

/**
 * Packs every public package as it is built now.
 *
 * @returns {Record<string, string>} paths of the tarballs, by package name
 */
export function pack() {
  const target = join(root, '.cache', `packed-${process.pid}`);
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  process.on('exit', () => rmSync(target, { recursive: true, force: true }));
  for (const { folder } of publicPackages) {
    execFileSync('pnpm', ['pack', '--pack-destination', target, '--silent'], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
    });
  }
  return Object.fromEntries(
    publicPackages.map(({ name, manifest }) => [
      name,
      join(target, `${name.replace('@', '').replace('/', '-')}-${manifest.version}.tgz`),
    ]),
  );
}

/**
 * Runs a program of the workspace on every tarball, and shows its output where it objects.
 *
 * @param {string} program
 * @param {string[]} options the tarball's path is put after the first
 */
export function checkTarballs(program, [first = '', ...rest]) {
  let failures = 0;
  for (const [name, tarball] of Object.entries(pack())) {
    try {
      const options = [first, tarball, ...rest].filter(Boolean);
      execFileSync(program, options, { stdio: 'pipe', shell: process.platform === 'win32' });
      console.log(`✓ ${name}`);
    } catch (error) {
      failures += 1;
      const { stdout = '', stderr = '' } = /** @type {{ stdout?: Buffer, stderr?: Buffer }} */ (error);
      console.log(`✗ ${name}\n${stdout}${stderr}`);
    }
  }
  process.exitCode = failures > 0 ? 1 : 0;
}
