// MAD's memorization (Poli et al. 2024): one map from keys to values for all sequences, to be learned by heart.
import { checkKeys, Rng } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { checkEvenInteger, madSizeKeys, madTask, type MadSizes } from './mad-task.ts';
import type { Task } from './task.ts';

/** Defaults: V 256, L 32, 256 examples. */
export interface MadMemorizationConfig extends MadSizes {
  /** Seed of the map (default 12345): the same for training and testing, whatever the run's own key. */
  readonly mapSeed?: number;
}

/**
 * The task: L/2 uniform keys of the first half of 0 … V−2, with replacement, each followed by the insert token V−1,
 * where the target is the key's value: a token of the second half that the map gives to it, to no two keys the same. The
 * answer stands nowhere in the sequence, so the task measures what weights hold, not the mixer's memory.
 *
 * As published, the number of examples stays 256 when the vocabulary grows, so that not every key is met in training: at
 * V 8192, 4096 draws meet 63 % of the 4095 keys, and the others can only be guessed.
 *
 * @throws MnemixError `config`, naming the key
 */
export function madMemorization(config: MadMemorizationConfig = {}): Task {
  const name = 'mad_memorization';
  checkKeys(`${name}: `, config, [...madSizeKeys, 'mapSeed']);
  const { vocabSize = 256, tokens = 32, examples = 256, testExamples = 1280, mapSeed = 12_345 } = config;
  checkInteger(`${name}: vocabSize`, vocabSize, 3);
  checkEvenInteger(`${name}: tokens`, tokens, 2);
  checkInteger(`${name}: mapSeed`, mapSeed, 0);
  const insert = vocabSize - 1;
  const half = Math.floor(insert / 2);
  const valueOf = Rng.of(mapSeed)
    .permutation(insert - half)
    .map((value) => half + value);
  const sizes = { vocabSize, tokens, examples, testExamples, mapSeed };
  return madTask(name, sizes, () => ({
    tokens,
    write(rng, inputs, targets) {
      inputs.fill(insert);
      rng
        .fold('keys')
        .integers(tokens / 2, 0, half)
        .forEach((key, i) => {
          inputs[2 * i] = key;
          targets[2 * i + 1] = valueOf[key] as number;
        });
    },
  }));
}
