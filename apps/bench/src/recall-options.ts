// What cells are given for the recall benchmark beside their sizes: short convolutions where their models have none (a key must
// reach its value's token), longer memories at the start, another learning rate.
import type { CellName } from '@mnemix/cells';

export interface RecallOptions {
  readonly cell?: Readonly<Record<string, unknown>>;
  readonly learningRate?: number;
}

const convolution = { cell: { convolution: 4 } };

export const recallOptions: Partial<Record<CellName, RecallOptions>> = {
  linear_attention: { cell: { convolution: 4, featureMap: 'identity' } },
  lightning: convolution,
  retnet: convolution,
  gla: convolution,
  gated_delta_net: { cell: { initialDecay: 1 } },
  hgrn2: convolution,
  based: convolution,
  rebased: convolution,
};
