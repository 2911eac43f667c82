// Whether a value — of a program, or of a file — is a model's configuration. Cells check their own options.
import { checkConfig, checkCount, checkKeys, show } from '@mnemix/tensor';
import type { LmConfig } from './config.ts';

type Check = (where: string, value: unknown) => void;

const count: Check = checkCount;

const isOf =
  (expected: string, test: (value: unknown) => boolean): Check =>
  (where, value) =>
    checkConfig(test(value), where, `expected ${expected}, found ${show(value)}.`, `Use ${expected}.`);

const oneOf = (...names: readonly string[]): Check =>
  isOf(names.map((name) => `"${name}"`).join(' or '), (value) => names.includes(value as string));

const flag = isOf('true or false', (value) => typeof value === 'boolean');
const weight = isOf('a number from 0 on', (value) => Number.isFinite(value) && (value as number) >= 0);
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const optional =
  (check: Check): Check =>
  (where, value) => {
    if (value !== undefined) check(where, value);
  };

/** An object with these keys and no others. */
const record =
  (fields: Readonly<Record<string, Check>>): Check =>
  (where, value) => {
    isOf('an object', isObject)(where || 'the configuration', value);
    const below = (key: string): string => (where === '' ? key : `${where}.${key}`);
    checkKeys(below(''), value as object, Object.keys(fields));
    for (const [key, check] of Object.entries(fields))
      check(below(key), (value as Record<string, unknown>)[key]);
  };

/** A mixer that says its type; cells and B'MOJO check themselves what belongs to them. */
const named = isOf('an object with a type', (value) => isObject(value) && typeof value.type === 'string');

const momMixer = record({
  type: () => undefined,
  cell: named,
  memories: optional(count),
  topK: optional(count),
  shared: optional(flag),
  singleKvProj: optional(flag),
});

const mixer: Check = (where, value) => {
  named(where, value);
  const { type, fading } = value as { type: string; fading?: unknown };
  if (type === 'mom') momMixer(where, value);
  if (type === 'bmojo' && fading !== undefined) mixer(`${where}.fading`, fading);
};

const mixers: Check = (where, value) => {
  if (!Array.isArray(value)) return mixer(where, value);
  checkConfig(value.length > 0, where, 'the list of mixers is empty.', 'Name at least one mixer.');
  value.forEach((item, i) => mixer(`${where}[${i}]`, item));
};

const lm = record({
  vocabSize: count,
  width: count,
  layers: count,
  mixer: mixers,
  mlp: (where, value) => {
    if (value != null)
      record({ type: optional(oneOf('swiglu', 'rwkv6', 'rwkv7')), hidden: count })(where, value);
  },
  norm: optional(oneOf('rms', 'layer')),
  normEps: optional(weight),
  tieEmbeddings: optional(flag),
  initializerRange: optional(weight),
  auxiliary: optional(
    record({
      balance: optional(weight),
      balanceScope: optional(oneOf('pooled', 'layer')),
      z: optional(weight),
    }),
  ),
});

/** @throws MnemixError `config` naming the first key that is unknown, missing or of another type */
export function checkLmConfig(config: unknown): asserts config is LmConfig {
  lm('', config);
}
