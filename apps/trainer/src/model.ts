// From the trainer's flat model section to a language model.
import { cellEntry } from '@mnemix/cells';
import {
  buildMixer,
  cellBlock,
  createLm,
  type CellConfig,
  type LanguageModel,
  type MixerConfig,
  type MomMixerConfig,
} from '@mnemix/lm';
import type { ModelConfig } from './config.ts';
import { blocksOf, isRouted, type BlockKind } from './plan-job.ts';

/** @throws MnemixError `config` where sizes do not fit the cell */
export function buildModel(config: ModelConfig, vocabSize: number): LanguageModel {
  const { width, layers, pattern, mlpWidth, tieEmbeddings, initializerRange, balance, zLoss } = config;
  return createLm({
    vocabSize,
    width,
    layers,
    mixer: pattern.map((kind) => mixerOf(config, kind)),
    ...cellBlock(config.cell, mlpWidth),
    tieEmbeddings,
    initializerRange,
    auxiliary: { balance, z: zLoss },
  });
}

/**
 * Bytes of one sequence's state that a token leaves as they are: those of the memories that it is not routed to. All memories
 * of a model are of one size.
 */
export function idleStateBytes(config: ModelConfig): number {
  if (!isRouted(config)) return 0;
  const { width, layers, memories, topK, shared } = config;
  const mixtures = blocksOf(config).filter((kind) => kind !== 'attention').length;
  const mixture = buildMixer(memoryOf(config), width, { layer: 0, layers });
  return (mixtures * mixture.stateBytes(1) * (memories - topK)) / (memories + (shared ? 1 : 0));
}

/** What blocks of a kind mix tokens with. */
export function mixerOf(config: ModelConfig, kind: BlockKind): MixerConfig {
  const { heads, attention, bmojo } = config;
  if (kind === 'attention') return { type: 'attention', heads, ...attention };
  if (kind === 'memory') return memoryOf(config);
  const { eidetic, ...options } = bmojo;
  return {
    type: 'bmojo',
    heads,
    ...options,
    fading: memoryOf(config),
    ...(eidetic && { eidetic }),
  } as MixerConfig;
}

function memoryOf(config: ModelConfig): CellConfig | MomMixerConfig {
  if (!isRouted(config)) return cellOf(config);
  const { memories, topK, shared, singleKvProj } = config;
  return { type: 'mom', cell: cellOf(config), memories, topK, shared, singleKvProj };
}

/** Widths of a head mean the same for every cell here, so that one cell can be swapped for another. */
function cellOf(config: ModelConfig): CellConfig {
  const { cell, width, heads, cellOptions } = config;
  const { ofSizes } = cellEntry('model.cell', cell);
  const { width: _, ...sizes } = ofSizes({ width, heads, ...headWidths(config) });
  return { type: cell, ...sizes, ...cellOptions } as CellConfig;
}

/** Widths of keys and values in a head of the cell. */
export function headWidths({ width, heads, keyWidth = width / heads, valueWidth = keyWidth }: ModelConfig): {
  readonly keyWidth: number;
  readonly valueWidth: number;
} {
  return { keyWidth, valueWidth };
}
