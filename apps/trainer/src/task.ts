// From the trainer's task section to a task.
import { byteTokenizer, mqar, text, type MqarSegment, type Task, type Tokenizer } from '@mnemix/tasks';
import { readText, readTokenizer } from '@mnemix/tasks/node';
import type { TaskConfig } from './config.ts';

/** @throws MnemixError `config` for sizes that do not fit, `file` for a file that cannot be used */
export async function buildTask(config: TaskConfig): Promise<Task> {
  if (config.kind === 'text') {
    const corpus =
      config.file === undefined ? (await import('./book.ts')).readBook() : await readText(config.file);
    return text({ text: corpus, tokenizer: (await tokenizerOf(config)) as Tokenizer, tokens: config.tokens });
  }
  const { vocabSize, tokens, pairs, fill, mixture } = config;
  const unseen = [{ tokens, pairs }];
  return mqar({
    vocabSize,
    fill,
    segments: (mixture as MqarSegment[] | undefined) ?? unseen,
    testSegments: unseen,
  });
}

/** What a task about text reads it with; recall has its own symbols. */
export async function tokenizerOf(config: TaskConfig): Promise<Tokenizer | undefined> {
  if (config.kind === 'recall') return undefined;
  return config.tokenizer === 'bytes' ? byteTokenizer : readTokenizer(config.tokenizer);
}
