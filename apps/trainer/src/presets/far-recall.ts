// What the presets of B'MOJO and hybrids share: recall over more tokens than a window shows.
//
// The eight pairs take 16 tokens, and the queries follow over 48 more; a window of 8 shows a query next to nothing of them: alone
// it stays at chance, 3.5 % (600 steps, one seed). Embeddings start larger than usual, since at 0.02 the first layer's output drowns
// them in the stream: so begun, B'MOJO guessed among the values that it had seen, 14 % after 1,000 steps (one seed, trained on a mixture
// of this length and a shorter one), where with 0.15 it had 98.7 % after 250.
import type { ConfigInput } from '../config.ts';

const WINDOW = 8;

export const farRecall = {
  task: { kind: 'recall', tokens: 64, pairs: 8, vocabSize: 66, fill: 'blank' },
  model: {
    width: 64,
    layers: 2,
    keyWidth: 16,
    valueWidth: 64,
    memories: 1,
    topK: 1,
    shared: false,
    initializerRange: 0.15,
    attention: { heads: 2, window: WINDOW },
    bmojo: { heads: 2, window: WINDOW, ropeBase: 10000, skip: true },
  },
  optimizer: { learningRate: 4e-3, warmupSteps: 50, finalRatio: 0.1, weightDecay: 0.01, beta2: 0.999 },
  training: { steps: 600, batch: 32, stopAt: 0.99, evalEvery: 50, evalSequences: 128 },
} satisfies ConfigInput;
