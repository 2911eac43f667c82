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

/** @throws MnemixError `config` unless `values` is a list, not empty, of integers ≥ `least` */
export function checkIntegers(where: string, values: readonly number[], least: number): void {
  checkConfig(
    Array.isArray(values) && values.length > 0,
    where,
    'expected a list of integers.',
    `Pass e.g. [${least}].`,
  );
  values.forEach((value, i) => checkInteger(`${where}[${i}]`, value, least));
}
