// The configurations of fla's models, read and written as their config.json.
import { cellEntry } from '@mnemix/cells';
import { swiGluWidth } from '@mnemix/layers';
import { MnemixError } from '@mnemix/tensor';
import { cellBlock } from '../block.ts';
import type { CellConfig, LmConfig, MixerConfig, MomMixerConfig } from '../config.ts';
import type { CompleteOptions, Field } from './fields.ts';
import { readHybrid, writeHybrid } from './hybrid.ts';
import { flaModels, type FlaModel } from './models.ts';
import { flaReader, type FlaConfig, type FlaReader } from './reader.ts';

export type { FlaConfig } from './reader.ts';

/** Keys of features that no model of ours has; any other value than these is refused instead of ignored. */
const OFF: Readonly<Record<string, readonly unknown[]>> = {
  attnres_block_size: [null, undefined],
  elementwise_affine: [true, undefined],
};

const ACTIVATIONS = {
  llama: ['swish', 'silu', undefined],
  mamba: ['silu', 'swish', undefined],
  rwkv6: ['sqrelu', undefined],
  rwkv7: ['sqrelu', undefined],
} as const;

/** Options that matter when a cell is made, and no longer once it has its parameters. */
const INITIAL_ONLY = ['initialDecay'];

const blockOf = ({ cell }: Pick<FlaModel, 'cell'>) => cellEntry('fla model', cell).block ?? 'llama';

/**
 * The model that a config.json of fla describes.
 *
 * @param where the file's name, for errors
 * @throws MnemixError `checkpoint` for a model type or a feature that is not supported
 */
export function fromFlaConfig(json: FlaConfig, where: string): LmConfig {
  const reader = flaReader(json, where);
  const model = flaModels.find(({ modelTypes }) => modelTypes.includes(String(json.model_type)));
  if (model === undefined) {
    throw new MnemixError({
      code: 'checkpoint',
      where: `${where}: model_type`,
      message: `${JSON.stringify(json.model_type)} is not supported.`,
      fix: `Use a checkpoint with one of ${flaModels.flatMap(({ modelTypes }) => modelTypes).join(', ')}.`,
    });
  }
  const block = blockOf(model);
  const only = { ...OFF, hidden_act: ACTIVATIONS[block], ...model.only };
  for (const [key, allowed] of Object.entries(only)) reader.expect(key, allowed);
  const width = reader.count('hidden_size');
  const layers = reader.count('num_hidden_layers');
  const normEps = reader.number('norm_eps', model.normEps ?? 1e-6);
  return {
    vocabSize: reader.count('vocab_size'),
    width,
    layers,
    mixer: readHybrid(reader, readMixer(model, reader, normEps), layers, where),
    ...cellBlock(model.cell, readHidden(model, reader, width)),
    normEps,
    tieEmbeddings: reader.flag('tie_word_embeddings', false),
    initializerRange: reader.number('initializer_range', 0.02),
    ...(model.routed ? { auxiliary: { balance: reader.number('aux_loss_scale', 0.01) } } : {}),
  };
}

function readMixer(model: FlaModel, json: FlaReader, modelEps: number): MixerConfig {
  const { cell: type, fields, routed, layerEps: normEps = modelEps } = model;
  const cell = { type, ...readFields(fields, json), normEps } as CellConfig;
  return routed ? ({ type: 'mom', cell, ...readFields(routed, json) } as MomMixerConfig) : cell;
}

const readFields = (fields: Readonly<Record<string, Field>>, json: FlaReader): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields)
      .map(([option, field]) => [option, field.read(json)] as const)
      .filter(([, value]) => value !== undefined),
  );

/** Width of the MLP; 0 for none. */
function readHidden(model: FlaModel, json: FlaReader, width: number): number {
  const block = blockOf(model);
  if (block === 'mamba') return 0;
  if (json.has('intermediate_size')) return json.count('intermediate_size');
  const ratio = json.number('hidden_ratio', model.hiddenRatio ?? 4);
  return block === 'llama' ? swiGluWidth(width, ratio) : 32 * Math.ceil(Math.trunc(width * ratio) / 32);
}

/**
 * The config.json under which fla loads a model, or undefined where fla has no such model (several cells, another block
 * than the cell's own, options that fla's configuration cannot say, MoM over other cells or with other auxiliary losses).
 */
export function toFlaConfig(config: LmConfig): FlaConfig | undefined {
  const mixers = writeHybrid(config);
  if (mixers === undefined) return undefined;
  const { cell: mixer, attn } = mixers;
  const routed = mixer.type === 'mom' ? mixer : undefined;
  const cell = routed ? routed.cell : (mixer as CellConfig);
  const model = flaModels.find((row) => row.cell === cell.type && Boolean(row.routed) === Boolean(routed));
  if (model === undefined) return undefined;
  const options = writableOptions(model, cell, config);
  if (options === undefined || !hasOwnBlock(model, config)) return undefined;
  const { balance = 0.01, balanceScope = 'pooled', z = 0 } = config.auxiliary ?? {};
  // fla pools the balance loss over the layers, and has no other.
  if (routed && (balanceScope !== 'pooled' || z !== 0)) return undefined;
  return {
    model_type: model.modelTypes[0],
    architectures: [model.architecture],
    ...writeFields(model.fields, options),
    ...(routed && model.routed
      ? { ...writeFields(model.routed, { ...momDefaults, ...routed }), aux_loss_scale: balance }
      : {}),
    ...Object.fromEntries(Object.entries(model.only ?? {}).map(([key, [value]]) => [key, value])),
    hidden_size: config.width,
    num_hidden_layers: config.layers,
    ...(config.mlp ? { intermediate_size: config.mlp.hidden } : {}),
    attn,
    vocab_size: config.vocabSize,
    norm_eps: config.normEps ?? 1e-6,
    tie_word_embeddings: config.tieEmbeddings ?? false,
    initializer_range: config.initializerRange ?? 0.02,
    hidden_act: ACTIVATIONS[blockOf(model)][0],
  };
}

const momDefaults = { memories: 4, topK: 2, shared: true, singleKvProj: false };

const writeFields = (
  fields: Readonly<Record<string, Field>>,
  options: CompleteOptions,
): Record<string, unknown> =>
  Object.assign(
    {},
    ...Object.entries(fields).map(([option, field]) => field.write(options[option], options)),
  );

/** The cell's complete options, if what fla's fields say of them is all that there is to say. */
function writableOptions(
  model: FlaModel,
  { type, ...given }: CellConfig,
  config: LmConfig,
): CompleteOptions | undefined {
  const { create } = cellEntry('fla model', type);
  const { width, normEps: modelEps = 1e-6 } = config;
  const { layerEps: normEps = modelEps } = model;
  const complete = create({ ...given, width }).config;
  const said = Object.entries(given).filter(
    ([option]) => option in model.fields || INITIAL_ONLY.includes(option),
  );
  // fla gives blocks and layers one epsilon, or layers a constant.
  const retold = create({ ...Object.fromEntries(said), width, normEps }).config;
  return JSON.stringify(sorted(retold)) === JSON.stringify(sorted(complete)) ? complete : undefined;
}

const sorted = (options: CompleteOptions): unknown =>
  Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1));

/** Whether the blocks are those of the cell's published model. */
function hasOwnBlock({ cell }: FlaModel, { norm = 'rms', mlp }: LmConfig): boolean {
  const own = cellBlock(cell, blockOf({ cell }) === 'mamba' ? 0 : (mlp?.hidden ?? 1));
  return (own.norm ?? 'rms') === norm && JSON.stringify(own.mlp) === JSON.stringify(mlp);
}
