// Selective copying with the sizes of Gu & Dao 2023, "Mamba": few data tokens, scattered over a long context of noise.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger, checkIntegers } from './check.ts';
import { addTo, logFactorials } from './distributions.ts';
import { once } from './once.ts';
import { distinctIntegers } from './sampling.ts';
import { defineTask, type ExampleSource, type Task } from './task.ts';

export interface SelectiveCopyingConfig {
  /** V, with the noise token 0 and the marker V−1 (default 16). */
  readonly vocabSize?: number;
  /** Length C of the context, in which the data tokens lie (default 4096). The sequences have C + n tokens. */
  readonly context?: number;
  /** Data tokens n (default 16). */
  readonly copies?: number;
  /** Context lengths to test at (default: the one of training). */
  readonly testContexts?: readonly number[];
}

/**
 * The task: n uniform data tokens of 1 … V−2 at distinct uniform places of the context, token 0 elsewhere; then n
 * markers V−1, where the targets are the data tokens in their order. The paper leaves open whether its 4,096 tokens
 * count the markers; here, as in the data loader of its authors' S4, they come on top.
 *
 * @throws MnemixError `config`, naming the key
 */
export function selectiveCopying(config: SelectiveCopyingConfig = {}): Task {
  checkKeys('selective_copying: ', config, ['vocabSize', 'context', 'copies', 'testContexts']);
  const { vocabSize = 16, context = 4096, copies = 16, testContexts = [context] } = config;
  checkInteger('selective_copying: vocabSize', vocabSize, 3);
  checkInteger('selective_copying: context', context, 1);
  checkInteger('selective_copying: copies', copies, 1);
  checkIntegers('selective_copying: testContexts', testContexts, 1);
  for (const length of [context, ...testContexts]) {
    checkConfig(
      copies <= length,
      'selective_copying: copies',
      `${copies} data tokens do not fit into a context of ${length} tokens.`,
      `Choose copies ≤ ${length}, or longer contexts.`,
    );
  }
  const source = (length: number) => contextSource(length, copies, vocabSize);
  return defineTask({
    name: 'selective_copying',
    config: { vocabSize, context, copies, testContexts },
    vocabSize,
    train: [source(context)],
    test: testContexts.map(source),
  });
}

function contextSource(context: number, copies: number, vocabSize: number): ExampleSource {
  const tokens = context + copies;
  const marker = vocabSize - 1;
  return {
    name: `C${context}-N${copies}`,
    tokens,
    reaches: once(() => reachesOf(context, copies)),
    guess: 1 / (vocabSize - 2),
    write(rng, inputs, targets, reach) {
      const places = distinctIntegers(rng.fold('places'), copies, 0, context).sort();
      const data = rng.fold('data').integers(copies, 1, marker);
      data.forEach((token, j) => {
        const place = places[j] as number;
        inputs[place] = token;
        inputs[context + j] = marker;
        targets[context + j] = token;
        reach[context + j] = context + j - place + 1;
      });
    },
  };
}

/** Order statistics of n distinct places: the j-th is p with probability C(p, j) · C(C−1−p, n−1−j) / C(C, n). */
function reachesOf(context: number, copies: number): Float64Array {
  const log = logFactorials(context);
  const choose = (n: number, k: number): number =>
    (log[n] as number) - (log[k] as number) - (log[n - k] as number);
  const reaches = new Float64Array(context + copies + 1);
  for (let j = 0; j < copies; j++) {
    for (let p = j; p <= context - copies + j; p++) {
      const logProbability = choose(p, j) + choose(context - 1 - p, copies - 1 - j) - choose(context, copies);
      addTo(reaches, context + j - p + 1, Math.exp(logProbability) / copies);
    }
  }
  return reaches;
}
