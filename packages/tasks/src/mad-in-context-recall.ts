// MAD's in-context recall (Poli et al. 2024): a stream of key-value pairs in which keys come again.
import { checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { checkEvenInteger, madSizeKeys, madTask, type MadSizes } from './mad-task.ts';
import { recallStream } from './recall-stream.ts';
import type { Task } from './task.ts';

/** Defaults: V 16, L 128, 12,800 examples. */
export type MadInContextRecallConfig = MadSizes;

/**
 * The task: L/2 pairs `k v`. Keys are drawn with replacement from the first half of the vocabulary, each key has one
 * uniform value of the second half throughout the sequence, and the last pair repeats a uniform one of the keys seen.
 * The model sees all but the last value, L − 1 tokens. In training every next token is a target; in testing only the
 * values of keys that have been seen before, each at its key.
 *
 * @throws MnemixError `config`, naming the key
 */
export function madInContextRecall(config: MadInContextRecallConfig = {}): Task {
  const name = 'mad_in_context_recall';
  checkKeys(`${name}: `, config, madSizeKeys);
  const { vocabSize = 16, tokens = 128, examples = 12_800, testExamples = 1280 } = config;
  checkInteger(`${name}: vocabSize`, vocabSize, 2);
  checkEvenInteger(`${name}: tokens`, tokens, 4);
  return madTask(name, { vocabSize, tokens, examples, testExamples }, (split) =>
    recallStream({ vocabSize, tokens, noiseSymbols: 0, noise: 0 }, split),
  );
}
