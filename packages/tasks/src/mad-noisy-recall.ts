// MAD's noisy in-context recall (Poli et al. 2024): in-context recall with noise between the pairs.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { checkEvenInteger, madSizeKeys, madTask, type MadSizes } from './mad-task.ts';
import { recallStream } from './recall-stream.ts';
import type { Task } from './task.ts';

/** Defaults: V 32 with the noise tokens, L 128, 12,800 examples. */
export interface MadNoisyRecallConfig extends MadSizes {
  /** Tokens of the vocabulary that are noise (default 16): its last ones. */
  readonly noiseSymbols?: number;
  /** Probability that two noise tokens stand in the place of a pair (default 0.2). */
  readonly noise?: number;
}

/**
 * The task: as {@link madInContextRecall}, on the vocabulary without its noise tokens, but two uniform noise tokens
 * stand in the place of each pair with the given probability; one place is kept for a pair, and the last always is one.
 * In training noise is a target like every other next token.
 *
 * @throws MnemixError `config`, naming the key
 */
export function madNoisyRecall(config: MadNoisyRecallConfig = {}): Task {
  const name = 'mad_noisy_recall';
  checkKeys(`${name}: `, config, [...madSizeKeys, 'noiseSymbols', 'noise']);
  const { vocabSize = 32, tokens = 128, examples = 12_800, testExamples = 1280 } = config;
  const { noiseSymbols = 16, noise = 0.2 } = config;
  checkInteger(`${name}: noiseSymbols`, noiseSymbols, 1);
  checkInteger(`${name}: vocabSize`, vocabSize, noiseSymbols + 2);
  checkEvenInteger(`${name}: tokens`, tokens, 4);
  checkConfig(
    noise >= 0 && noise < 1,
    `${name}: noise`,
    `expected a probability below 1, found ${noise}.`,
    'Choose e.g. 0.2.',
  );
  const sizes = { vocabSize, tokens, examples, testExamples, noiseSymbols, noise };
  return madTask(name, sizes, (split) => recallStream(sizes, split));
}
