// The default job: a Mixture-of-Memories learns associative recall, and beside it a single memory.
//
// Eight pairs are more than keys of width 6 can hold apart in one memory, so that what is written interferes; the router
// can spread it. A single memory as large as what a token uses of the mixture gets there with luck: see --seeds 3.
import type { ConfigInput } from '../config.ts';

export const recall: ConfigInput = {
  name: 'recall',
  task: { kind: 'recall', tokens: 32, pairs: 8, vocabSize: 34, fill: 'blank' },
  model: {
    width: 64,
    layers: 2,
    cell: 'gated_delta_net',
    heads: 1,
    keyWidth: 6,
    valueWidth: 16,
    // The usual start (16) forgets within a few tokens where there is only one head to draw for.
    cellOptions: { initialDecay: 1 },
    memories: 4,
    topK: 2,
    shared: true,
    balance: 0.003,
  },
  optimizer: { learningRate: 3e-3, warmupSteps: 50, finalRatio: 0.1, weightDecay: 0.01, beta2: 0.999 },
  training: { steps: 2000, batch: 64, stopAt: 0.99, evalEvery: 50, evalSequences: 256 },
  // A token reads two routed memories and the shared one: three times the values are as much state in use.
  beside: { single: { model: { memories: 1, topK: 1, shared: false, valueWidth: 48 } } },
};
