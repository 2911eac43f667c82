// The default job: a Mixture-of-Memories learns associative recall, and beside it a single memory.
import type { ConfigInput } from '../config.ts';

export const recall: ConfigInput = {
  name: 'recall',
  task: { kind: 'recall', tokens: 32, pairs: 6, vocabSize: 40 },
  model: {
    width: 32,
    layers: 2,
    cell: 'gated_delta_net',
    heads: 1,
    keyWidth: 8,
    memories: 4,
    topK: 2,
    shared: true,
  },
  optimizer: { learningRate: 5e-3, schedule: 'constant', warmupSteps: 20 },
  training: { steps: 1500, batch: 64, stopAt: 0.99, evalEvery: 50, evalSequences: 256 },
  // Two routed memories and the shared one answer each token: three times the values make up for them.
  beside: { single: { memories: 1, topK: 1, shared: false, valueWidth: 24 } },
};
