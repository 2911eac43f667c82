// The default job: a Mixture-of-Memories learns associative recall, and beside it a single memory.
import type { ConfigInput } from '../config.ts';

export const recall: ConfigInput = {
  name: 'recall',
  task: { kind: 'recall', tokens: 20, pairs: 4, vocabSize: 32 },
  model: {
    width: 64,
    layers: 2,
    cell: 'gated_delta_net',
    heads: 1,
    keyWidth: 16,
    memories: 4,
    topK: 2,
    shared: true,
  },
  optimizer: { learningRate: 0.01, schedule: 'linear', finalRatio: 0.1 },
  training: { steps: 800, batch: 64, stopAt: 0.99, evalEvery: 50, evalSequences: 256 },
  // A token reads two routed memories and the shared one: three times the values are as much state in use.
  beside: { single: { memories: 1, topK: 1, shared: false, valueWidth: 48 } },
};
