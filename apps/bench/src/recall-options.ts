// What cells are given for the recall benchmark beside their sizes: short convolutions where their models have none (a key must
// reach its value's token), longer memories at the start, another learning rate.
import type { CellName } from '@mnemix/cells';

export interface RecallOptions {
  readonly cell?: Readonly<Record<string, unknown>>;
  readonly learningRate?: number;
}

const convolution = { cell: { convolution: 4 } };
/** Decays that start slow: with so few heads the usual draw may leave none that remembers 64 tokens. */
const slow = { cell: { initialDecay: 1 } };
/** Gates that start half closed have far to go. */
const fast = { learningRate: 1e-2 };

export const recallOptions: Partial<Record<CellName, RecallOptions>> = {
  linear_attention: { cell: { convolution: 4, featureMap: 'identity' } },
  lightning: convolution,
  retnet: convolution,
  gla: convolution,
  gated_delta_net: slow,
  mamba2: fast,
  hgrn2: { ...convolution, ...fast },
  gsa: convolution,
  based: convolution,
  rebased: convolution,
  kda: slow,
  gdn2: slow,
  comba: slow,
  gated_delta_product: slow,
  log_linear_mamba2: fast,
  log_linear_gdn: slow,
};
