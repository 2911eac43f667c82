// Options of a cell: checked by name, defaults filled in, and the sizes that ratios stand for.
import { checkConfig, checkCount, checkKeys, show } from '@mnemix/tensor';

type OptionalKey<O> = { [K in keyof O]-?: Record<never, never> extends Pick<O, K> ? K : never }[keyof O];

/** A value for every option that may be left out; `undefined` for a number that has no default. */
type Defaults<O> = { readonly [K in OptionalKey<O>]: O[K] | undefined };

type Complete<O, D> = Omit<O, keyof D> & {
  readonly [K in keyof D & keyof O]: undefined extends D[K] ? O[K] : Exclude<O[K], undefined>;
};

/**
 * The options with defaults in place of what is absent or `undefined`.
 *
 * @param cell the function that received them
 * @param counts the options that have to be there: whole numbers from 1 on
 * @throws MnemixError `config` for an unknown option or a value of another type
 */
export function complete<O extends object, const D extends Defaults<O>>(
  cell: string,
  options: O,
  counts: readonly (keyof O & string)[],
  defaults: D,
): Complete<O, D> {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  checkKeys(`${cell}: `, given, [...counts, ...Object.keys(defaults)]);
  const config: Record<string, unknown> = { ...defaults, ...given };
  for (const key of counts as readonly string[]) checkCount(`${cell}(${key})`, config[key]);
  for (const [key, fallback] of Object.entries(defaults)) {
    const value = config[key];
    if (value === undefined) continue;
    const type = fallback === undefined ? 'number' : typeof fallback;
    checkConfig(
      type === 'number' ? Number.isFinite(value) : typeof value === type,
      `${cell}(${key})`,
      `expected a ${type}, found ${show(value)}.`,
      `Use a ${type}.`,
    );
  }
  return config as Complete<O, D>;
}

/** @throws MnemixError `config` unless the catalogue has an entry of this name */
export function choose<C extends object, Name extends keyof C>(
  where: string,
  catalogue: C,
  name: Name,
): C[Name] {
  checkConfig(
    Object.hasOwn(catalogue, name),
    where,
    `there is no "${String(name)}".`,
    `Choose one of ${Object.keys(catalogue).join(', ')}.`,
  );
  return catalogue[name];
}

/** Products of a width and a ratio may be this far from a whole number: 56 · (29/56) is not quite 29. */
const ROUNDING = 1e-6;

/** width·ratio, which must stand for a whole number. */
export function ratioSize(where: string, width: number, ratio: number): number {
  const size = Math.round(width * ratio);
  checkConfig(
    size >= 1 && Math.abs(width * ratio - size) <= ROUNDING,
    where,
    `${width}·${ratio} = ${width * ratio} is not a whole number from 1 on.`,
    'Choose a ratio that makes it one, e.g. (wanted size) / (width).',
  );
  return size;
}

/**
 * Widths of all heads' keys and values, [H·dk] and [H·dv].
 *
 * @param pairs the channels of a key must be a multiple of this
 * @throws MnemixError `config` where the ratios give no whole numbers, or the heads do not divide them
 */
export function headSizes(
  cell: string,
  config: {
    readonly width: number;
    readonly heads: number;
    readonly expandK: number;
    readonly expandV: number;
  },
  pairs = 1,
): { keySize: number; valueSize: number } {
  const { width, heads } = config;
  const keySize = ratioSize(`${cell}(expandK)`, width, config.expandK);
  const valueSize = ratioSize(`${cell}(expandV)`, width, config.expandV);
  checkConfig(
    keySize % (pairs * heads) === 0 && valueSize % heads === 0,
    `${cell}(heads)`,
    `${heads} heads do not divide the key width ${keySize}${pairs > 1 ? ' into even parts' : ''} and the value ` +
      `width ${valueSize}.`,
    `Choose a number of heads that ${pairs > 1 ? 'does: rotation needs pairs of channels' : 'divides both'}.`,
  );
  return { keySize, valueSize };
}
