// `npm test`: sets everything up and runs every check, or those named: `npm test -- lint types`.
import './node-version.js';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
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

/** @param {string} name @param {string} notes @returns {Result} */
function runCheck(name, notes) {
  const { about = '', command = '' } = checks[name] ?? {};
  console.log(`\n── ${name}: ${about}`);
  const noteFile = join(notes, name);
  const begin = performance.now();
  const { status } = spawnSync(`pnpm exec ${command}`, {
    cwd: root,
    env: { ...process.env, MNEMIX_NOTE: noteFile },
    stdio: 'inherit',
    shell: true,
  });
  return {
    name,
    outcome: status === 0 ? 'passed' : status === SKIPPED ? 'skipped' : 'failed',
    seconds: (performance.now() - begin) / 1000,
    note: existsSync(noteFile) ? readFileSync(noteFile, 'utf8').trim() : '',
  };
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
  const results = names.map((name) => runCheck(name, notes));
  summarise(results);
  process.exitCode = results.some(({ outcome }) => outcome === 'failed') ? 1 : 0;
} finally {
  rmSync(notes, { recursive: true, force: true });
}
