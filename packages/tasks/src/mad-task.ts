// What the six tasks of MAD share (Poli et al. 2024, "Mechanistic design and scaling of hybrid architectures"): a fixed data set
// to train on, another to test on.
import { checkConfig } from '@mnemix/tensor';
import { checkInteger } from './check.ts';
import { defineTask, type ExampleSource, type Split, type Task } from './task.ts';

export interface MadSizes {
  /** V, special tokens included. */
  readonly vocabSize?: number;
  /** Length L, as the paper counts it. */
  readonly tokens?: number;
  /** Sequences to train on. */
  readonly examples?: number;
  /** Sequences to test on (default 1280). */
  readonly testExamples?: number;
}

export const madSizeKeys = ['vocabSize', 'tokens', 'examples', 'testExamples'] as const;

/** @throws MnemixError `config`, naming the key */
export function madTask(
  name: string,
  config: Required<MadSizes> & Readonly<Record<string, unknown>>,
  source: (split: Split) => Omit<ExampleSource, 'name' | 'examples'>,
): Task {
  const { vocabSize, examples, testExamples } = config;
  checkInteger(`${name}: examples`, examples, 1);
  checkInteger(`${name}: testExamples`, testExamples, 1);
  return defineTask({
    name,
    config: { ...config },
    vocabSize,
    train: [{ ...source('train'), name: 'train', examples }],
    test: [{ ...source('test'), name: 'test', examples: testExamples }],
  });
}

/** @throws MnemixError `config` unless `value` is an even integer ≥ `least` */
export function checkEvenInteger(where: string, value: number, least: number): void {
  checkInteger(where, value, least);
  checkConfig(value % 2 === 0, where, `${value} is odd; tokens come in pairs.`, `Choose ${value + 1}.`);
}
