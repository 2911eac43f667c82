// The configurations of fla's models, read and written as their config.json.
import { swiGluWidth } from '@mnemix/layers';
import { MnemixError } from '@mnemix/tensor';
import type { LmConfig, MixerConfig } from '../config.ts';
import { flaMixers } from './mixers.ts';

/** A parsed config.json. */
export type FlaConfig = Readonly<Record<string, unknown>>;

/** Keys of features that we do not have; any other value than these is refused instead of ignored. */
const OFF: Readonly<Record<string, readonly unknown[]>> = {
  attn: [null, undefined],
  attnres_block_size: [null, undefined],
  hidden_act: ['swish', 'silu', undefined],
  elementwise_affine: [true, undefined],
};

/**
 * The model that a config.json of fla describes.
 *
 * @param where the file's name, for errors
 * @throws MnemixError `checkpoint` for a model type or a feature that is not supported
 */
export function fromFlaConfig(json: FlaConfig, where: string): LmConfig {
  const modelType = String(json.model_type);
  const mixer = Object.values(flaMixers).find(({ modelTypes }) => modelTypes.includes(modelType));
  if (mixer === undefined) {
    const known = Object.values(flaMixers).flatMap(({ modelTypes }) => modelTypes);
    throw unsupported(where, 'model_type', json.model_type, `one of ${known.join(', ')}`);
  }
  for (const [key, allowed] of Object.entries({ ...OFF, ...mixer.only })) {
    if (!allowed.includes(json[key]))
      throw unsupported(where, key, json[key], allowed.map(String).join(' or '));
  }
  const width = count(json, 'hidden_size', where);
  const hidden =
    json.intermediate_size == null
      ? swiGluWidth(width, number(json, 'hidden_ratio', where, 4))
      : count(json, 'intermediate_size', where);
  return {
    vocabSize: count(json, 'vocab_size', where),
    width,
    layers: count(json, 'num_hidden_layers', where),
    mixer: mixer.read({
      number: (key, fallback) => number(json, key, where, fallback),
      flag: (key, fallback) => flag(json, key, where, fallback),
      choice: (key, names, fallback) => choice(json, key, where, names, fallback),
      has: (key) => json[key] != null,
    }),
    mlp: { hidden },
    normEps: number(json, 'norm_eps', where, 1e-6),
    tieEmbeddings: flag(json, 'tie_word_embeddings', where, false),
    initializerRange: number(json, 'initializer_range', where, 0.02),
    ...(mixer.auxiliary ? { auxiliary: { balance: number(json, 'aux_loss_scale', where, 0.01) } } : {}),
  };
}

/**
 * The config.json under which fla loads a model, or undefined where fla has no such model (patterns of several mixers,
 * blocks without MLP, MoM over other cells than Gated DeltaNet or with other auxiliary losses).
 */
export function toFlaConfig(config: LmConfig): FlaConfig | undefined {
  if (Array.isArray(config.mixer) || config.mlp === null) return undefined;
  const mixer = config.mixer as MixerConfig;
  const written = flaMixers[mixer.type]?.write(mixer as never, config);
  if (written === undefined) return undefined;
  return {
    ...written,
    hidden_size: config.width,
    num_hidden_layers: config.layers,
    intermediate_size: config.mlp.hidden,
    vocab_size: config.vocabSize,
    norm_eps: config.normEps ?? 1e-6,
    tie_word_embeddings: config.tieEmbeddings ?? false,
    initializer_range: config.initializerRange ?? 0.02,
    hidden_act: 'swish',
  };
}

const unsupported = (where: string, key: string, found: unknown, expected: string): MnemixError =>
  new MnemixError({
    code: 'checkpoint',
    where: `${where}: ${key}`,
    message: `${JSON.stringify(found)} is not supported.`,
    fix: `Use a checkpoint with ${expected}.`,
  });

function number(json: FlaConfig, key: string, where: string, fallback?: number): number {
  const value = json[key] ?? fallback;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new MnemixError({
    code: 'checkpoint',
    where: `${where}: ${key}`,
    message: `expected a number, found ${JSON.stringify(value)}.`,
    fix: 'Restore the configuration that the checkpoint was saved with.',
  });
}

function flag(json: FlaConfig, key: string, where: string, fallback: boolean): boolean {
  const value = json[key] ?? fallback;
  if (typeof value === 'boolean') return value;
  throw unsupported(where, key, value, 'true or false');
}

function choice<Name extends string>(
  json: FlaConfig,
  key: string,
  where: string,
  names: readonly Name[],
  fallback: Name,
): Name {
  const value = json[key] ?? fallback;
  if (names.includes(value as Name)) return value as Name;
  throw unsupported(where, key, value, names.join(' or '));
}

function count(json: FlaConfig, key: string, where: string): number {
  const value = number(json, key, where);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new MnemixError({
    code: 'checkpoint',
    where: `${where}: ${key}`,
    message: `expected a whole number from 1 on, found ${value}.`,
    fix: 'Restore the configuration that the checkpoint was saved with.',
  });
}
