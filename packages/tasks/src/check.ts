// Checks of configuration values, with errors that name the key and the fix.
import { checkConfig } from '@mnemix/tensor';

/**
 * @param prefix what stands before the key in the message, e.g. `mqar: segments[0].`
 * @throws MnemixError `config` for a key that is not in `known`
 */
export function checkKeys(prefix: string, config: object, known: readonly string[]): void {
  for (const key of Object.keys(config)) {
    checkConfig(known.includes(key), `${prefix}${key}`, 'unknown key.', `Use one of ${known.join(', ')}.`);
  }
}

/** @throws MnemixError `config` unless `value` is an integer ≥ `least` */
export function checkInteger(where: string, value: number, least: number): void {
  checkConfig(
    Number.isSafeInteger(value) && value >= least,
    where,
    `expected an integer of at least ${least}, found ${String(value)}.`,
    `Choose an integer ≥ ${least}.`,
  );
}
