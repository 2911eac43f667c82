// Builds the package in the current directory: dist/ mirrors src/, one ES module and one declaration file for each
// source file. Whatever is not a file of the package stays an import. Run by each package's `build` script.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { wgsl } from './wgsl.js';

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const root = join(import.meta.dirname, '../..');

/** The sources that the manifest publishes: its `bin`, and its `exports` with patterns filled in. */
function entries() {
  const targets = [
    ...Object.values(manifest.bin ?? {}),
    ...Object.values(manifest.exports ?? {}).map((target) => target?.default),
  ].filter((target) => typeof target === 'string');
  const sources = targets.map((target) => target.replace('./dist/', 'src/').replace(/\.js$/, '.ts'));
  return sources.flatMap((path) =>
    path === 'src/*.ts'
      ? readdirSync('src')
          .filter((file) => file.endsWith('.ts'))
          .map((file) => `src/${file}`)
      : [path],
  );
}

/** The packages that users have when they have this one. */
const installed = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));

/** @param {string} id what an import names */
function isForeign(id) {
  // Its own files, and what the compiler adds for newer syntax (`using`), which Rolldown brings itself.
  if (/^[./\0]|^[A-Z]:|^@oxc-project\/runtime\//.test(id)) return false;
  const name = id.split('/', id.startsWith('@') ? 2 : 1).join('/');
  if (id.startsWith('node:') || installed.has(name)) return true;
  throw new Error(`${manifest.name} imports ${id}, but its package.json does not depend on ${name}.`);
}

async function buildModules() {
  const bundle = await rolldown({
    input: [...new Set(entries())],
    external: isForeign,
    platform: manifest.bin ? 'node' : 'neutral',
    transform: { target: 'es2022' },
    plugins: [wgsl()],
    onLog(level, log, print) {
      if (level === 'warn') throw new Error(log.message);
      print(level, log);
    },
  });
  await bundle.write({ dir: 'dist', format: 'es', preserveModules: true, preserveModulesRoot: 'src' });
  await bundle.close();
}

/** Declarations are checked against the built declarations of the other packages: what users will see. */
function buildDeclarations() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
  for (const file of readdirSync('dist', { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.d.ts')) continue;
    const path = join('dist', file);
    // tsc leaves `./name.ts` as written in declarations; beside them there is only `name.js`.
    const text = readFileSync(path, 'utf8').replace(
      /((?:from|import\()\s*['"]\.{1,2}\/[^'"]*)\.ts(['"])/g,
      '$1.js$2',
    );
    writeFileSync(path, text);
  }
}

rmSync('dist', { recursive: true, force: true });
await buildModules();
if (!manifest.private) buildDeclarations();
