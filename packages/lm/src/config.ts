// A language model as plain data.
import { cells, type CellConfigs, type CellName } from '@mnemix/cells';
import { asMixer, type AnyCell, type Mixer } from '@mnemix/layers';
import { mom } from '@mnemix/mom';
import { checkConfig } from '@mnemix/tensor';

/** A memory cell by name, with its own options; the model gives the width. */
export type CellConfig = {
  [Name in CellName]: { readonly type: Name } & Omit<CellConfigs[Name], 'width'>;
}[CellName];

export interface MomMixerConfig {
  readonly type: 'mom';
  readonly cell: CellConfig;
  readonly memories?: number;
  readonly topK?: number;
  readonly shared?: boolean;
  readonly singleKvProj?: boolean;
}

export type MixerConfig = CellConfig | MomMixerConfig;

export interface LmConfig {
  readonly vocabSize: number;
  /** Model width d. */
  readonly width: number;
  /** Number of residual blocks. */
  readonly layers: number;
  /** The mixer of every block; a list is repeated over the blocks, e.g. seven memories and one attention. */
  readonly mixer: MixerConfig | readonly MixerConfig[];
  /** SwiGLU after every mixer; null leaves it out. */
  readonly mlp: { readonly hidden: number } | null;
  /** Default 1e-6. */
  readonly normEps?: number;
  /** The output head is the transposed embedding. Default false. */
  readonly tieEmbeddings?: boolean;
  /** Standard deviation of embedding, head and MLP at the start. Default 0.02. */
  readonly initializerRange?: number;
  /** Weights of the routers' auxiliary losses. Default: balance 0.01 pooled over layers, no z-loss. */
  readonly auxiliary?: {
    readonly balance?: number;
    readonly balanceScope?: 'pooled' | 'layer';
    readonly z?: number;
  };
}

/** The configuration of block `layer`. */
export function mixerOf({ mixer }: Pick<LmConfig, 'mixer'>, layer: number): MixerConfig {
  if (!Array.isArray(mixer)) return mixer as MixerConfig;
  return mixer[layer % mixer.length] as MixerConfig;
}

function buildCell({ type, ...options }: CellConfig, width: number, where: string): AnyCell {
  checkConfig(
    Object.hasOwn(cells, type),
    `${where}.type`,
    `there is no cell "${String(type)}".`,
    `Choose one of ${Object.keys(cells).join(', ')}.`,
  );
  return (cells[type] as (config: object) => AnyCell)({ ...options, width });
}

/**
 * The mixer that a configuration describes.
 *
 * @throws MnemixError `config` where the name is unknown or sizes do not fit
 */
export function buildMixer(config: MixerConfig, width: number): Mixer {
  if (config.type !== 'mom') return asMixer(buildCell(config, width, 'mixer')) as unknown as Mixer;
  const { type: _, cell, ...options } = config;
  return mom({ ...options, cell: buildCell(cell, width, 'mixer.cell') }) as unknown as Mixer;
}
