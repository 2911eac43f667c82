// Measures each package, minified and gzipped, all its entries together and without its dependencies, against the
// budget of size-budgets.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { publicPackages } from './packages.js';
import { note } from './note.js';

/** @type {Record<string, number>} kB (1,000 bytes), by package name */
const budgets = JSON.parse(readFileSync(join(import.meta.dirname, 'size-budgets.json'), 'utf8'));

/** @param {import('./packages.js').Package} subject */
async function gzippedBytes({ folder, manifest }) {
  const entries = Object.values(manifest.exports)
    .map((target) => target.default)
    .filter((path) => path && !path.includes('*'));
  const all = entries.map((path, i) => `export * as entry${i} from '${join(folder, path)}';`).join('\n');
  const bundle = await rolldown({
    input: 'virtual:all',
    external: (id) => !/^[./\0]|^[A-Z]:|^virtual:|^@oxc-project\/runtime\//.test(id),
    plugins: [
      {
        name: 'all-entries',
        resolveId: (id) => (id === 'virtual:all' ? id : null),
        load: (id) => (id === 'virtual:all' ? all : null),
      },
    ],
  });
  const { output } = await bundle.generate({ format: 'es', minify: true });
  await bundle.close();
  const code = output.map((chunk) => (chunk.type === 'chunk' ? chunk.code : '')).join('');
  return gzipSync(code, { level: 9 }).length;
}

let total = 0;
for (const subject of publicPackages) {
  const size = (await gzippedBytes(subject)) / 1000;
  const budget = budgets[subject.name];
  const within = budget !== undefined && size <= budget;
  total += size;
  console.log(
    `${within ? '✓' : '✗'} ${subject.name.padEnd(18)}${size.toFixed(1).padStart(7)} of ${budget ?? '?'} kB`,
  );
  if (!within) process.exitCode = 1;
}
note(`${total.toFixed(1)} kB in ${publicPackages.length} packages`);
