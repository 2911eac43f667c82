// From the trainer's flat model section to a language model.
import { cellEntry } from '@mnemix/cells';
import { cellBlock, createLm, type CellConfig, type LanguageModel, type MixerConfig } from '@mnemix/lm';
import type { ModelConfig } from './config.ts';
import { isRouted } from './plan-job.ts';

/** @throws MnemixError `config` where sizes do not fit the cell */
export function buildModel(config: ModelConfig, vocabSize: number): LanguageModel {
  const { width, layers, mlpWidth, tieEmbeddings, initializerRange, balance, zLoss } = config;
  return createLm({
    vocabSize,
    width,
    layers,
    mixer: mixerOf(config),
    ...cellBlock(config.cell, mlpWidth),
    tieEmbeddings,
    initializerRange,
    auxiliary: { balance, z: zLoss },
  });
}

function mixerOf(config: ModelConfig): MixerConfig {
  if (!isRouted(config)) return cellOf(config);
  const { memories, topK, shared, singleKvProj } = config;
  return { type: 'mom', cell: cellOf(config), memories, topK, shared, singleKvProj };
}

/** Widths of a head mean the same for every cell here, so that one cell can be swapped for another. */
function cellOf({
  cell,
  width,
  heads,
  keyWidth = width / heads,
  valueWidth = keyWidth,
  cellOptions,
}: ModelConfig): CellConfig {
  const { ofSizes } = cellEntry('model.cell', cell);
  const { width: _, ...sizes } = ofSizes({ width, heads, keyWidth, valueWidth });
  return { type: cell, ...sizes, ...cellOptions } as CellConfig;
}
