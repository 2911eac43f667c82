import { writeFileSync } from 'node:fs';

/** Exit code of a check that could not run here. */
export const SKIPPED = 77;

/**
 * One line for the summary of `npm test`.
 * @param {string} text
 */
export function note(text) {
  if (process.env.MNEMIX_NOTE) writeFileSync(process.env.MNEMIX_NOTE, text);
}
