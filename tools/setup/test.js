// `npm test`: sets everything up and runs every check, or those named: `npm test -- lint types`.
import './node-version.js';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { checks } from './checks.js';
import { prepare, root } from './prepare.js';

/** A check that ends with this code could not run here, and says why in its note. */
const SKIPPED = 77;

/**
 * @typedef {object} Result
 * @property {string} name
 * @property {'passed' | 'failed' | 'skipped'} outcome
 * @property {number} seconds
 * @property {string} note
 */

function chosen() {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !(name in checks));
  if (unknown.length > 0) {
    const list = Object.entries(checks).map(([name, { about }]) => `  ${name.padEnd(10)}${about}`);
    console.error(`There is no check named ${unknown.join(', ')}. There are:\n${list.join('\n')}`);
    process.exit(2);
  }
  return names.length > 0 ? names : Object.keys(checks);
}

/**
 * @param {string} name
 * @param {string} notes
 * @param {boolean} hasNeighbours what it prints is held back until it has ended
 * @returns {Promise<Result>}
 */
async function runCheck(name, notes, hasNeighbours) {
  const { about = '', command = '' } = checks[name] ?? {};
  const title = `\n── ${name}: ${about}`;
  if (!hasNeighbours) console.log(title);
  const noteFile = join(notes, name);
  const begin = performance.now();
  const child = spawn(`pnpm exec ${command}`, {
    cwd: root,
    env: { ...process.env, MNEMIX_NOTE: noteFile },
    stdio: hasNeighbours ? ['inherit', 'pipe', 'pipe'] : 'inherit',
    shell: true,
  });
  /** @type {Buffer[]} */
  const printed = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (part) => printed.push(part));
  const [status] = await once(child, 'close');
  if (hasNeighbours) {
    console.log(title);
    process.stdout.write(Buffer.concat(printed));
  }
  return {
    name,
    outcome: status === 0 ? 'passed' : status === SKIPPED ? 'skipped' : 'failed',
    seconds: (performance.now() - begin) / 1000,
    note: existsSync(noteFile) ? readFileSync(noteFile, 'utf8').trim() : '',
  };
}

/**
 * In order, but neighbours that need one core on all cores at once.
 *
 * @param {string[]} names
 * @param {string} notes
 * @returns {Promise<Result[]>} in the order of the names
 */
async function runChecks(names, notes) {
  /** @type {Result[]} */
  const results = [];
  for (let next = 0; next < names.length;) {
    const isSmall = (/** @type {number} */ i) => checks[names[i] ?? '']?.needsOneCore ?? false;
    let end = next + 1;
    while (isSmall(next) && isSmall(end)) end += 1;
    const lanes = Math.min(end - next, availableParallelism());
    const lane = async () => {
      while (next < end) {
        const own = next++;
        results[own] = await runCheck(names[own] ?? '', notes, lanes > 1);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }
  return results;
}

/** @param {Result[]} results */
function summarise(results) {
  console.log('\n── summary');
  for (const { name, outcome, seconds, note } of results) {
    const mark = { passed: '✓', failed: '✗', skipped: '–' }[outcome];
    console.log(
      `${mark} ${name.padEnd(10)}${outcome.padEnd(9)}${seconds.toFixed(1).padStart(6)} s  ${note}`.trimEnd(),
    );
  }
}

const names = chosen();
prepare({ needsBuild: names.some((name) => checks[name]?.needsBuild) });
mkdirSync(join(root, '.cache'), { recursive: true });
const notes = mkdtempSync(join(root, '.cache/notes-'));
try {
  const results = await runChecks(names, notes);
  summarise(results);
  process.exitCode = results.some(({ outcome }) => outcome === 'failed') ? 1 : 0;
} finally {
  rmSync(notes, { recursive: true, force: true });
}
