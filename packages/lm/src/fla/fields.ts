// How one option of a mixer stands in a config.json of fla, both ways.
import type { FlaReader } from './reader.ts';

/** A mixer's options with all defaults filled in. */
export type CompleteOptions = Readonly<Record<string, unknown>>;

export interface Field {
  /** The option's value; undefined leaves it out. */
  read(json: FlaReader): unknown;
  /** The keys that say the value. */
  write(value: unknown, options: CompleteOptions): Record<string, unknown>;
}

const plain = (key: string, read: Field['read']): Field => ({ read, write: (value) => ({ [key]: value }) });

/** @param fallback the default of fla's configuration class */
export const number = (key: string, fallback: number): Field =>
  plain(key, (json) => json.number(key, fallback));

export const flag = (key: string, fallback: boolean): Field => plain(key, (json) => json.flag(key, fallback));

export const choice = (key: string, names: readonly string[], fallback: string): Field =>
  plain(key, (json) => json.choice(key, names, fallback));

/** A number that is null where it does not apply. */
export const optional = (key: string): Field => ({
  read: (json) => (json.has(key) ? json.number(key) : undefined),
  write: (value) => ({ [key]: value ?? null }),
});

/** The number under the first of these keys that is there. */
export const firstOf = (keys: readonly [string, ...string[]], fallback: number): Field => ({
  read: (json) => json.number(keys.find((key) => json.has(key)) ?? keys[0], fallback),
  write: (value) => ({ [keys[0]]: value }),
});

/**
 * A ratio of widths. fla truncates width·ratio; where rounding would cost it one, the ratio is raised by less than matters
 * to us.
 *
 * @param base the option that is multiplied
 */
export const ratio = (key: string, fallback: number, base: string): Field => ({
  read: (json) => json.number(key, fallback),
  write: (value, options) => {
    const width = options[base] as number;
    const size = Math.round(width * (value as number));
    return { [key]: Math.floor(width * (value as number)) === size ? value : (size + 1e-7) / width };
  },
});

/** Taps of short convolutions that fla switches by a flag of their own; 0 for none. */
export const shortConvolution = (isOn: boolean): Field => ({
  read: (json) => (json.flag('use_short_conv', isOn) ? json.number('conv_size', 4) : 0),
  write: (value) => ({ use_short_conv: value !== 0, conv_size: value || 4 }),
});

/** An option that fla says in terms of others. */
export const derived = (read: Field['read'], write: Field['write']): Field => ({ read, write });
