// A sweep whose jobs take no time to speak of.
export const tinySweep = {
  name: 'tiny',
  backend: 'cpu',
  mixers: ['linear_attention'],
  sizes: { '4': { width: 4, window: 4, slots: 2 } },
  tasks: {
    pairs: { train: { type: 'mqar', vocabSize: 16, segments: [{ tokens: 8, pairs: 2 }] } },
  },
  training: { batch: 2, steps: 2, warmupSteps: 1, evaluateEvery: 1, testSequences: 2 },
};

/** Seeds of jobs that the worker process of `mortal-worker.ts` does not survive. */
export const deadly = { killed: 13, aborted: 14, exited: 15 };
