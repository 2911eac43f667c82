// Why some cells cost what they cost on the CPU.
import type { CellName } from '@mnemix/cells';

const levels =
  'every level of the tree is read and carried apart, and the scan is in tensor ops, without a SIMD kernel: training is as fast as ' +
  'the chunk form of its base rule in the same ops, a token alone takes a few dozen calls where linear attention takes one.';
const descent =
  'each mini-batch of 16 tokens waits for the memory that the one before leaves, so that the scan is a chain of small products in ' +
  'tensor ops, whose overhead outweighs their arithmetic (see the formula); a SIMD kernel would go token by token.';
const quadratic =
  'its feature map squares the keys (32 channels become 528 and more), so that memory and arithmetic are as many times larger: ' +
  'what the formula says. Its published head has 16 channels.';

export const costNotes: Partial<Record<CellName, string>> = {
  ttt_linear: descent,
  titans: descent,
  based: quadratic,
  rebased: quadratic,
  log_linear_mamba2: levels,
  log_linear_gdn: levels,
  mesa_net:
    'every token solves a system by conjugate gradients, up to 30 scans of linear attention forward and as many backward; it stops ' +
    'as soon as the last token has converged, which is why it stays below the formula.',
};
