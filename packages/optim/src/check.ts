// Checks of configuration values, with errors that name the key and the fix.
import { checkConfig } from '@mnemix/tensor';

/**
 * @param prefix what stands before the key in the message, e.g. `adamW: `
 * @throws MnemixError `config` for a key that is not in `known`
 */
export function checkKeys(prefix: string, config: object, known: readonly string[]): void {
  for (const key of Object.keys(config)) {
    checkConfig(known.includes(key), `${prefix}${key}`, 'unknown key.', `Use one of ${known.join(', ')}.`);
  }
}

/** @throws MnemixError `config` unless `low` ≤ `value` ≤ `high`, both finite or `high` left out */
export function checkRange(where: string, value: number, low: number, high = Number.MAX_VALUE): void {
  const range = high === Number.MAX_VALUE ? `a number ≥ ${low}` : `a number from ${low} to ${high}`;
  checkConfig(value >= low && value <= high, where, `expected ${range}, found ${value}.`, `Choose ${range}.`);
}
