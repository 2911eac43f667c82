// MAD's selective copying (Poli et al. 2024): data tokens with blanks between them, to be written down without the blanks.
import { checkConfig, checkKeys } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { addTo, logFactorials } from './distributions.ts';
import { madSizeKeys, madTask, type MadSizes } from './mad-task.ts';
import { once } from './once.ts';
import type { ExampleSource, Task } from './task.ts';

/** Defaults: V 16, L 256, 12,800 examples. */
export interface MadSelectiveCopyingConfig extends MadSizes {
  /** Data tokens n (default 16). */
  readonly copies?: number;
}

/**
 * The task: n uniform data tokens of 0 … V−3; before them, each blank before a uniform one, L − 2n − 1 blanks V−2, so
 * that none follows the last data token; the copy token V−1; n more blanks, where the targets are the data tokens in
 * their order. Training and testing ask for the same.
 *
 * @throws MnemixError `config`, naming the key
 */
export function madSelectiveCopying(config: MadSelectiveCopyingConfig = {}): Task {
  const name = 'mad_selective_copying';
  checkKeys(`${name}: `, config, [...madSizeKeys, 'copies']);
  const { vocabSize = 16, tokens = 256, examples = 12_800, testExamples = 1280, copies = 16 } = config;
  checkInteger(`${name}: vocabSize`, vocabSize, 3);
  checkInteger(`${name}: tokens`, tokens, 1);
  checkInteger(`${name}: copies`, copies, 1);
  checkConfig(
    tokens >= 2 * copies + 1,
    `${name}: copies`,
    `${copies} data tokens, their copies and the copy token take ${2 * copies + 1} tokens, the sequence has ${tokens}.`,
    `Choose copies ≤ ${Math.floor((tokens - 1) / 2)} or tokens ≥ ${2 * copies + 1}.`,
  );
  return madTask(name, { vocabSize, tokens, examples, testExamples, copies }, () =>
    copySource(vocabSize, tokens, copies),
  );
}

function copySource(
  vocabSize: number,
  tokens: number,
  copies: number,
): Omit<ExampleSource, 'name' | 'examples'> {
  const [copyToken, blank] = [vocabSize - 1, vocabSize - 2];
  const blanks = tokens - 2 * copies - 1;
  return {
    tokens,
    reaches: once(() => reachesOf(tokens, copies, blanks)),
    guess: 1 / (vocabSize - 2),
    write(rng, inputs, targets, reach) {
      const data = rng.fold('data').integers(copies, 0, blank);
      const before = new Int32Array(copies);
      for (const j of rng.fold('blanks').integers(blanks, 0, copies)) before[j] = (before[j] as number) + 1;
      inputs.fill(blank);
      inputs[tokens - copies - 1] = copyToken;
      let place = -1;
      data.forEach((token, j) => {
        place += (before[j] as number) + 1;
        const label = tokens - copies + j;
        inputs[place] = token;
        targets[label] = token;
        reach[label] = label - place + 1;
      });
    },
  };
}

/** The blanks before data token j are binomial: B of them, each with probability (j+1)/n. It reaches L − n − B + 1 back. */
function reachesOf(tokens: number, copies: number, blanks: number): Float64Array {
  const log = logFactorials(blanks);
  const reaches = new Float64Array(tokens + 1);
  for (let j = 0; j < copies; j++) {
    const share = (j + 1) / copies;
    for (let b = 0; b <= blanks; b++) {
      const choose = (log[blanks] as number) - (log[b] as number) - (log[blanks - b] as number);
      const probability = Math.exp(choose) * share ** b * (1 - share) ** (blanks - b);
      addTo(reaches, tokens - copies - b + 1, probability / copies);
    }
  }
  return reaches;
}
