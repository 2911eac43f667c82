// Induction heads (Olsson et al. 2022, "In-context learning and induction heads"), with the sizes of Gu & Dao 2023, "Mamba":
// trained at 256 tokens, tested at lengths up to 2^20.
import { checkKeys } from '@mnemix/tensor';
import { checkInteger, checkIntegers } from './check.ts';
import { defineTask, type ExampleSource, type Task } from './task.ts';

export interface InductionHeadsConfig {
  /** V, the special token included (default 16). */
  readonly vocabSize?: number;
  /** Length L of the training sequences (default 256). */
  readonly tokens?: number;
  /** Lengths to test at (default: powers of two from 64 to 2^14; the paper goes on to 2^20). */
  readonly testTokens?: readonly number[];
}

/**
 * The task: uniform tokens of 0 … V−2, and the special token V−1 twice: at a uniform place that leaves room for an
 * ordinary token behind it, and at the end, where the target is that token. The only label stands at position L−1.
 *
 * @throws MnemixError `config`, naming the key
 */
export function inductionHeads(config: InductionHeadsConfig = {}): Task {
  checkKeys('induction_heads: ', config, ['vocabSize', 'tokens', 'testTokens']);
  const { vocabSize = 16, tokens = 256, testTokens = powersOfTwo(6, 14) } = config;
  checkInteger('induction_heads: vocabSize', vocabSize, 2);
  checkInteger('induction_heads: tokens', tokens, 3);
  checkIntegers('induction_heads: testTokens', testTokens, 3);
  const source = (length: number) => lengthSource(length, vocabSize);
  return defineTask({
    name: 'induction_heads',
    config: { vocabSize, tokens, testTokens },
    vocabSize,
    train: [source(tokens)],
    test: testTokens.map(source),
  });
}

/** 2^from … 2^to. */
const powersOfTwo = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => 2 ** (from + i));

function lengthSource(tokens: number, vocabSize: number): ExampleSource {
  const special = vocabSize - 1;
  const last = tokens - 1;
  return {
    name: `T${tokens}`,
    tokens,
    // The special token is equally likely at 0 … L−3.
    reaches: () => Float64Array.from({ length: tokens }, (_, r) => (r < 2 ? 0 : 1 / (tokens - 2))),
    guess: 1 / special,
    write(rng, inputs, targets, reach) {
      const place = rng.fold('place').integers(1, 0, tokens - 2)[0] as number;
      inputs.set(rng.fold('tokens').integers(tokens, 0, special));
      inputs[place] = special;
      inputs[last] = special;
      targets[last] = inputs[place + 1] as number;
      reach[last] = last - place;
    },
  };
}
