// MAD's compression (Poli et al. 2024): a whole sequence through the last position.
import { checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { madSizeKeys, madTask, type MadSizes } from './mad-task.ts';
import type { Task } from './task.ts';

/** Defaults: V 16, L 32, 12,800 examples. */
export type MadCompressionConfig = MadSizes;

/**
 * The task: L − 1 uniform tokens of 0 … V−2 and the compression token V−1; the targets are the inputs themselves.
 *
 * This is no task for a language model as it is, which would read each target off its own position: all targets must be
 * told from the model's output at the last position, by a decoder. The paper's is a two-layer MLP, the same for all
 * positions, of that output plus a fixed sine-cosine encoding of the position asked for.
 *
 * @throws MnemixError `config`, naming the key
 */
export function madCompression(config: MadCompressionConfig = {}): Task {
  const name = 'mad_compression';
  checkKeys(`${name}: `, config, madSizeKeys);
  const { vocabSize = 16, tokens = 32, examples = 12_800, testExamples = 1280 } = config;
  checkInteger(`${name}: vocabSize`, vocabSize, 2);
  checkInteger(`${name}: tokens`, tokens, 2);
  return madTask(name, { vocabSize, tokens, examples, testExamples }, () => ({
    tokens,
    write(rng, inputs, targets) {
      inputs.set(rng.fold('tokens').integers(tokens - 1, 0, vocabSize - 1));
      inputs[tokens - 1] = vocabSize - 1;
      targets.set(inputs);
    },
  }));
}
