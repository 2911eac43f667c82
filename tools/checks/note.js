import { writeFileSync } from 'node:fs';

/** Exit code of a check that could not run here. */
const SKIPPED = 77;

const inCi = !['', '0', 'false', undefined].includes(process.env.CI);

/**
 * One line for the summary of `npm test`.
 * @param {string} text
 */
export function note(text) {
  if (process.env.MNEMIX_NOTE) writeFileSync(process.env.MNEMIX_NOTE, text);
}

/**
 * Ends a check that cannot run on this machine: a failure under CI, skipped elsewhere.
 *
 * @param {string} reason
 * @returns {never}
 */
export function cannotRun(reason) {
  console.error(reason);
  note(reason);
  process.exit(inCi ? 1 : SKIPPED);
}
