// One small task of every type, for the tests that hold for all of them.
import type { TaskSpec, TaskType } from '../src/index.ts';

export const specs: { readonly [Type in TaskType]: Extract<TaskSpec, { type: Type }> } = {
  mqar: { type: 'mqar', vocabSize: 64, segments: [{ tokens: 32, pairs: 5 }] },
  forgetting_mqar: {
    type: 'forgetting_mqar',
    vocabSize: 64,
    segments: [{ tokens: 40, pairs: 6, updates: 3 }],
  },
  compositional_mqar: {
    type: 'compositional_mqar',
    vocabSize: 96,
    segments: [{ tokens: 64, pairs: 9 }],
  },
  phone_book: {
    type: 'phone_book',
    segments: [{ entries: 7, queries: 3 }],
    nameSymbols: 8,
    numberTokens: 6,
  },
  needle: { type: 'needle', vocabSize: 48, tokens: 40, testTokens: 80, testDistances: [2, 17, 79] },
  induction_heads: { type: 'induction_heads', tokens: 32, testTokens: [8, 32, 100] },
  selective_copying: { type: 'selective_copying', context: 40, copies: 6, testContexts: [12, 40] },
  mad_in_context_recall: { type: 'mad_in_context_recall', tokens: 48, examples: 64, testExamples: 64 },
  mad_noisy_recall: { type: 'mad_noisy_recall', tokens: 48, noise: 0.4, examples: 64, testExamples: 64 },
  mad_fuzzy_recall: { type: 'mad_fuzzy_recall', tokens: 64, examples: 64, testExamples: 64 },
  mad_selective_copying: {
    type: 'mad_selective_copying',
    tokens: 48,
    copies: 7,
    examples: 64,
    testExamples: 64,
  },
  mad_compression: { type: 'mad_compression', examples: 64, testExamples: 64 },
  mad_memorization: { type: 'mad_memorization', examples: 64, testExamples: 64 },
};

export const taskNames = Object.keys(specs) as TaskType[];
