// A language model as plain data.
import { bmojo, type BmojoConfig, type EideticConfig, type MemoryPolicyConfig } from '@mnemix/bmojo';
import { cellEntry, type CellConfigs, type CellName } from '@mnemix/cells';
import {
  asMixer,
  gatedConvolution,
  softmaxAttention,
  type AnyCell,
  type GatedConvolutionConfig,
  type Mixer,
  type SoftmaxAttentionConfig,
} from '@mnemix/layers';
import { mom } from '@mnemix/mom';
import { checkKeys } from '@mnemix/tensor';

/** A memory cell by name, with its own options; the model gives the width and the layer. */
export type CellConfig = {
  [Name in CellName]: { readonly type: Name } & Omit<CellConfigs[Name], 'width' | 'layer' | 'layers'>;
}[CellName];

export interface MomMixerConfig {
  readonly type: 'mom';
  readonly cell: CellConfig;
  readonly memories?: number;
  readonly topK?: number;
  readonly shared?: boolean;
  readonly singleKvProj?: boolean;
}

/** Softmax attention, whole or in a sliding window: the other half of hybrid models. */
export type AttentionMixerConfig = { readonly type: 'attention' } & Omit<SoftmaxAttentionConfig, 'width'>;

/** A gated short convolution: binds neighbouring tokens below layers that recall. */
export type ConvolutionMixerConfig = { readonly type: 'convolution' } & Omit<GatedConvolutionConfig, 'width'>;

/** B'MOJO, or without `eidetic` B'MOJO-F, over any other mixer as its fading memory. */
export interface BmojoMixerConfig extends Omit<BmojoConfig, 'width' | 'fading' | 'eidetic'> {
  readonly type: 'bmojo';
  readonly fading?: CellConfig | MomMixerConfig;
  readonly eidetic?: Omit<EideticConfig, 'policy'> & { readonly policy?: MemoryPolicyConfig };
}

export type MixerConfig =
  | CellConfig
  | MomMixerConfig
  | AttentionMixerConfig
  | ConvolutionMixerConfig
  | BmojoMixerConfig;

/** What follows each mixer: a SwiGLU, or the channel mix of RWKV-6 or RWKV-7. */
export interface MlpConfig {
  /** Default swiglu. */
  readonly type?: 'swiglu' | 'rwkv6' | 'rwkv7';
  readonly hidden: number;
}

export interface LmConfig {
  readonly vocabSize: number;
  /** Model width d. */
  readonly width: number;
  /** Number of residual blocks. */
  readonly layers: number;
  /** The mixer of every block; a list is repeated over the blocks, e.g. seven memories and one attention. */
  readonly mixer: MixerConfig | readonly MixerConfig[];
  /** The MLP after every mixer; null leaves it out, as in Mamba. */
  readonly mlp: MlpConfig | null;
  /** `rms`, or `layer`: LayerNorms with bias, and one more on the embeddings, as in RWKV. Default rms. */
  readonly norm?: 'rms' | 'layer';
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

interface Place {
  readonly layer: number;
  readonly layers: number;
}

function buildCell({ type, ...options }: CellConfig, width: number, place: Place, where: string): AnyCell {
  const { create, layered } = cellEntry(`${where}.type`, String(type));
  return create({ ...options, width, ...(layered ? place : {}) });
}

/**
 * The mixer that a configuration describes.
 *
 * @param place which block of how many it is for
 * @throws MnemixError `config` where the name is unknown or sizes do not fit
 */
export function buildMixer(
  config: MixerConfig,
  width: number,
  place: Place = { layer: 0, layers: 1 },
): Mixer {
  if (config.type === 'attention') {
    const { type: _, ...options } = config;
    return softmaxAttention({ ...options, width }) as unknown as Mixer;
  }
  if (config.type === 'convolution') {
    checkKeys('mixer.', config, ['type', 'taps']);
    return gatedConvolution({ width, taps: config.taps }) as unknown as Mixer;
  }
  if (config.type === 'bmojo') {
    const { type: _, fading, ...options } = config;
    const mixer = bmojo({ ...options, width, fading: fading && buildMixer(fading, width, place) });
    return mixer as unknown as Mixer;
  }
  if (config.type !== 'mom') return asMixer(buildCell(config, width, place, 'mixer')) as unknown as Mixer;
  const { type: _, cell, ...options } = config;
  return mom({ ...options, cell: buildCell(cell, width, place, 'mixer.cell') }) as unknown as Mixer;
}
