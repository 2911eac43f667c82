// Finds a Redis or Valkey server for tests: one that is installed, else Debian's, unpacked into .cache/ beside its libraries.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const cache = join(import.meta.dirname, '../../.cache');
const folder = join(cache, 'redis');

/** The server, and what it needs that a plain Debian does not have. */
const packages = [
  'redis-server',
  'redis-tools',
  'libatomic1',
  'libjemalloc2',
  'liblua5.1-0',
  'liblzf1',
  'libssl3',
  'libsystemd0',
];

/**
 * @typedef {object} Found
 * @property {string} version what the server says of itself
 * @property {Record<string, string>} env what a process must have in its environment to start it: MNEMIX_REDIS_SERVER is its path
 */

/** @param {string} path @param {string} [libraries] @returns {Found | undefined} */
function probe(path, libraries) {
  /** @type {Record<string, string>} */
  const env = { MNEMIX_REDIS_SERVER: path };
  if (libraries) env.MNEMIX_REDIS_LIBRARIES = libraries;
  const { status, stdout } = spawnSync(path, ['--version'], {
    env: { ...process.env, ...(libraries ? { LD_LIBRARY_PATH: libraries } : {}) },
    encoding: 'utf8',
  });
  return status === 0 ? { version: stdout.trim(), env } : undefined;
}

/** @returns {Found | undefined} */
function unpacked() {
  const libraries = join(folder, 'usr/lib');
  if (!existsSync(libraries)) return undefined;
  const places = readdirSync(libraries, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
    .map(({ name }) => join(libraries, name));
  return probe(join(folder, 'usr/bin/redis-server'), places.join(':'));
}

/** @returns {string | undefined} why it could not be fetched */
function fetch() {
  const fresh = join(cache, 'redis-new');
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  /** @param {string[]} args */
  const apt = (...args) => spawnSync('apt-get', args, { cwd: fresh, encoding: 'utf8' });
  let download = apt('download', ...packages);
  if (download.error) return 'apt-get is not installed';
  // Fresh images come without lists of packages.
  if (download.status !== 0 && apt('update').status === 0) download = apt('download', ...packages);
  if (download.status !== 0) return download.stderr.trim().split('\n').at(-1);
  for (const file of readdirSync(fresh).filter((name) => name.endsWith('.deb'))) {
    const { status, stderr } = spawnSync('dpkg', ['-x', file, '.'], { cwd: fresh, encoding: 'utf8' });
    if (status !== 0) return stderr.trim();
    rmSync(join(fresh, file));
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
  return undefined;
}

/** @returns {Found | { reason: string }} */
export function findRedis() {
  const given = process.env.MNEMIX_REDIS_SERVER;
  const installed = [given, 'valkey-server', 'redis-server'].flatMap((path) =>
    path ? (probe(path) ?? []) : [],
  );
  const [found = unpacked()] = installed;
  if (found) return found;
  const reason = fetch();
  return unpacked() ?? { reason: reason ?? 'the unpacked server does not start' };
}
