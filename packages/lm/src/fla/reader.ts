// Typed access to a config.json: what is there has to be of the right type, what is absent takes fla's default.
import { MnemixError } from '@mnemix/tensor';

/** A parsed config.json. */
export type FlaConfig = Readonly<Record<string, unknown>>;

export interface FlaReader {
  number(key: string, fallback?: number): number;
  /** A whole number from 1 on. */
  count(key: string, fallback?: number): number;
  flag(key: string, fallback: boolean): boolean;
  choice<const Name extends string>(key: string, names: readonly Name[], fallback: Name): Name;
  /** Whether the key is there and not null. */
  has(key: string): boolean;
  value(key: string): unknown;
  /** The same for an object under a key. */
  below(key: string): FlaReader;
  /** @throws MnemixError `checkpoint` unless the value is one of these */
  expect(key: string, allowed: readonly unknown[]): void;
}

/** @param where the file's name, for errors */
export function flaReader(json: FlaConfig, where: string): FlaReader {
  const unsupported = (key: string, expected: string): MnemixError =>
    new MnemixError({
      code: 'checkpoint',
      where: `${where}: ${key}`,
      message: `${JSON.stringify(json[key])} is not supported.`,
      fix: `Use a checkpoint with ${expected}.`,
    });
  const unlike = (key: string, expected: string): MnemixError =>
    new MnemixError({
      code: 'checkpoint',
      where: `${where}: ${key}`,
      message: `expected ${expected}, found ${JSON.stringify(json[key])}.`,
      fix: 'Restore the configuration that the checkpoint was saved with.',
    });
  const number = (key: string, fallback?: number): number => {
    const value = json[key] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw unlike(key, 'a number');
  };
  return {
    number,
    count: (key, fallback) => {
      const value = number(key, fallback);
      if (Number.isInteger(value) && value >= 1) return value;
      throw unlike(key, 'a whole number from 1 on');
    },
    flag: (key, fallback) => {
      const value = json[key] ?? fallback;
      if (typeof value === 'boolean') return value;
      throw unsupported(key, 'true or false');
    },
    choice: <Name extends string>(key: string, names: readonly Name[], fallback: Name): Name => {
      const value = (json[key] ?? fallback) as Name;
      if (names.includes(value)) return value;
      throw unsupported(key, names.join(' or '));
    },
    has: (key) => json[key] != null,
    value: (key) => json[key],
    below: (key) => {
      const value = json[key];
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        return flaReader(value as FlaConfig, `${where}: ${key}`);
      throw unlike(key, 'an object');
    },
    expect: (key, allowed) => {
      if (!allowed.includes(json[key] ?? undefined)) throw unsupported(key, allowed.map(String).join(' or '));
    },
  };
}
