// Checks of configuration values, with errors that name the key and the fix.
import { checkConfig } from '@mnemix/tensor';

/** @throws MnemixError `config` unless `value` is an integer ≥ `least` */
export function checkInteger(where: string, value: number, least: number): void {
  checkConfig(
    Number.isSafeInteger(value) && value >= least,
    where,
    `expected an integer of at least ${least}, found ${String(value)}.`,
    `Choose an integer ≥ ${least}.`,
  );
}
