// Next-token prediction on one long text.
import { checkConfig, checkKeys, MnemixError } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { defineTask, type Task } from './task.ts';
import { byteTokenizer, checkIds, type Tokenizer } from './tokenizer.ts';

export interface TextConfig {
  readonly text: string;
  /** Default: bytes. */
  readonly tokenizer?: Tokenizer;
  /** Length T of the windows, which take T + 1 tokens of the text. */
  readonly tokens: number;
  /** Share of the text, at its end, that is held out (default 0.1). */
  readonly testFraction?: number;
}

/**
 * Windows of contiguous tokens, with the next token as the target at every position. Training windows start anywhere
 * in the first part of the text, drawn uniformly; test windows lie end to end in the rest and are passed through in
 * order. No window reaches over the boundary.
 *
 * @throws MnemixError `config` for impossible settings; `value` where the text is empty or too short for one window
 *   in each part
 */
export function text(config: TextConfig): Task {
  checkKeys('text: ', config, ['text', 'tokenizer', 'tokens', 'testFraction']);
  const { text: corpus, tokenizer = byteTokenizer, tokens, testFraction = 0.1 } = config;
  checkInteger('text: tokens', tokens, 1);
  checkConfig(
    testFraction > 0 && testFraction < 1,
    'text: testFraction',
    `expected a share between 0 and 1, found ${testFraction}.`,
    'Choose e.g. 0.1.',
  );
  const ids = tokenizer.encode(corpus);
  checkIds('text: tokenizer', ids, tokenizer.vocabSize);
  const testStart = ids.length - Math.round(ids.length * testFraction);
  checkLength('training', testStart, tokens);
  checkLength('test', ids.length - testStart, tokens);

  const writeWindow = (start: number, inputs: Int32Array, targets: Int32Array): void => {
    inputs.set(ids.subarray(start, start + tokens));
    targets.set(ids.subarray(start + 1, start + tokens + 1));
  };
  return defineTask({
    name: 'text',
    config: { tokenizer: tokenizer.name, tokens, testFraction, length: ids.length },
    vocabSize: tokenizer.vocabSize,
    train: [
      {
        name: 'train',
        tokens,
        write: (rng, inputs, targets) =>
          writeWindow(rng.integers(1, 0, testStart - tokens)[0] as number, inputs, targets),
      },
    ],
    test: [
      {
        name: 'test',
        tokens,
        examples: Math.floor((ids.length - testStart - 1) / tokens),
        write: (_, inputs, targets, _reach, number) =>
          writeWindow(testStart + number * tokens, inputs, targets),
      },
    ],
  });
}

function checkLength(part: string, length: number, tokens: number): void {
  if (length > tokens) return;
  throw new MnemixError({
    code: 'value',
    where: 'text: text',
    message:
      length === 0
        ? `the ${part} part is empty.`
        : `the ${part} part has ${length} tokens, but one window takes ${tokens + 1}.`,
    fix: 'Use a longer text, shorter windows (tokens), or another testFraction.',
    detail: { part, length, window: tokens + 1 },
  });
}
