// Checks of configuration values, with errors that name the key and the fix.
import { checkConfig } from '@mnemix/tensor';

/** @throws MnemixError `config` unless `low` ≤ `value` ≤ `high`, both finite or `high` left out */
export function checkRange(where: string, value: number, low: number, high = Number.MAX_VALUE): void {
  const range = high === Number.MAX_VALUE ? `a number ≥ ${low}` : `a number from ${low} to ${high}`;
  checkConfig(value >= low && value <= high, where, `expected ${range}, found ${value}.`, `Choose ${range}.`);
}
