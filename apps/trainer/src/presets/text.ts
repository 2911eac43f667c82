// A small language model of a public-domain book, byte by byte.
import type { ConfigInput } from '../config.ts';

export const text: ConfigInput = {
  name: 'text',
  task: { kind: 'text', tokenizer: 'bytes', tokens: 128 },
  model: {
    width: 128,
    layers: 2,
    cell: 'gated_delta_net',
    heads: 2,
    keyWidth: 32,
    memories: 4,
    topK: 2,
    mlpWidth: 256,
  },
  optimizer: { learningRate: 2e-3, warmupSteps: 50, finalRatio: 0.1 },
  training: { steps: 1000, batch: 16, evalEvery: 100, evalSequences: 64 },
};
