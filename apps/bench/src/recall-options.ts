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

export const recallOptions: Partial<Record<CellName, RecallOptions>> = {
  linear_attention: { cell: { convolution: 4, featureMap: 'identity' } },
  lightning: convolution,
  retnet: { ...convolution, learningRate: 3e-3 },
  gla: convolution,
  gated_delta_net: slow,
  mamba2: slow,
  hgrn2: convolution,
  gsa: convolution,
  based: convolution,
  rebased: convolution,
  kda: slow,
  gdn2: slow,
  comba: slow,
  // Reflections at the start, and two of them a token, leave little to begin with.
  gated_delta_product: { cell: { initialDecay: 0.1, negativeEigenvalues: false }, learningRate: 3e-3 },
  log_linear_mamba2: slow,
  log_linear_gdn: slow,
  mesa_net: { learningRate: 3e-3 },
};
