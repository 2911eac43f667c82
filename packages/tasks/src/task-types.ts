// Every task by name: how to make it, what it asks for, where it comes from. The README's table and the benchmarks' sweeps come from
// here, so that a new task is its file, an export, and a row.
import { checkConfig } from '@mnemix/tensor';
import { compositionalMqar } from './compositional-mqar.ts';
import { forgettingMqar } from './forgetting-mqar.ts';
import { inductionHeads } from './induction-heads.ts';
import { madCompression } from './mad-compression.ts';
import { madFuzzyRecall } from './mad-fuzzy-recall.ts';
import { madInContextRecall } from './mad-in-context-recall.ts';
import { madMemorization } from './mad-memorization.ts';
import { madNoisyRecall } from './mad-noisy-recall.ts';
import { madSelectiveCopying } from './mad-selective-copying.ts';
import { mqar } from './mqar.ts';
import { needle } from './needle.ts';
import { phoneBook } from './phone-book.ts';
import { selectiveCopying } from './selective-copying.ts';
import type { Task } from './task.ts';

export interface TaskTypeEntry<Config = never> {
  readonly create: (config: Config) => Task;
  /** What a sequence is, and what is asked for. */
  readonly rule: string;
  /** The paper. */
  readonly source: string;
  /** The sliding-window ceiling is known by formula ({@link taskCeiling}), can only be counted, or means nothing here. */
  readonly ceiling: 'formula' | 'counted' | 'none';
  /** What the targets are told from: the model's output at each one's own position (default), or at the last one. */
  readonly readFrom?: 'last';
}

const entry = <Config>(row: TaskTypeEntry<Config>): TaskTypeEntry<Config> => row;

/** The tasks that plain data can describe: all but text, whose corpus is no setting. */
export const taskTypes = {
  mqar: entry({
    create: mqar,
    rule: 'pairs, then each key again: its value',
    source: 'Arora et al. 2023',
    ceiling: 'formula',
  }),
  forgetting_mqar: entry({
    create: forgettingMqar,
    rule: 'the same, but some keys get a second value: the latest',
    source: 'Arora et al. 2023, repository',
    ceiling: 'formula',
  }),
  compositional_mqar: entry({
    create: compositionalMqar,
    rule: 'the same, but keys are two tokens of a grid',
    source: 'Arora et al. 2023, repository',
    ceiling: 'formula',
  }),
  phone_book: entry({
    create: phoneBook,
    rule: 'lines of a name and a number, then some names again: their numbers',
    source: 'after Jelassi et al. 2024',
    ceiling: 'formula',
  }),
  needle: entry({
    create: needle,
    rule: 'one pair, filler, the key again: its value, at a given distance',
    source: '—',
    ceiling: 'formula',
  }),
  induction_heads: entry({
    create: inductionHeads,
    rule: 'a special token twice: what followed it the first time',
    source: 'Olsson et al. 2022; Gu & Dao 2023',
    ceiling: 'formula',
  }),
  selective_copying: entry({
    create: selectiveCopying,
    rule: 'few data tokens in much noise: them, in order',
    source: 'Gu & Dao 2023',
    ceiling: 'formula',
  }),
  mad_in_context_recall: entry({
    create: madInContextRecall,
    rule: 'a stream of pairs: the values of keys seen before',
    source: 'Poli et al. 2024',
    ceiling: 'counted',
  }),
  mad_noisy_recall: entry({
    create: madNoisyRecall,
    rule: 'the same, with noise between the pairs',
    source: 'Poli et al. 2024',
    ceiling: 'counted',
  }),
  mad_fuzzy_recall: entry({
    create: madFuzzyRecall,
    rule: 'the same, with keys and values of one to three tokens',
    source: 'Poli et al. 2024',
    ceiling: 'counted',
  }),
  mad_selective_copying: entry({
    create: madSelectiveCopying,
    rule: 'data tokens between blanks: them, in order',
    source: 'Poli et al. 2024',
    ceiling: 'formula',
  }),
  mad_compression: entry({
    create: madCompression,
    rule: 'random tokens: all of them, from the last position',
    source: 'Poli et al. 2024',
    ceiling: 'none',
    readFrom: 'last',
  }),
  mad_memorization: entry({
    create: madMemorization,
    rule: 'keys: their values under one map for all sequences',
    source: 'Poli et al. 2024',
    ceiling: 'none',
  }),
};

export type TaskType = keyof typeof taskTypes;

/** A task as plain data: its type, and the options of the function that makes it. */
export type TaskSpec = {
  [Type in TaskType]: { readonly type: Type } & NonNullable<
    Parameters<(typeof taskTypes)[Type]['create']>[0]
  >;
}[TaskType];

/**
 * The task that a specification describes.
 *
 * ```ts
 * const task = taskOf({ type: 'mqar', vocabSize: 128, segments: [{ tokens: 64, pairs: 8 }] });
 * ```
 *
 * @throws MnemixError `config`, naming the key: a type that there is not, or what the task refuses
 */
export function taskOf(spec: TaskSpec): Task {
  const { type, ...config } = spec;
  const known = Object.keys(taskTypes);
  checkConfig(
    known.includes(type),
    'task: type',
    `found ${JSON.stringify(type)}.`,
    `Use one of ${known.join(', ')}.`,
  );
  return (taskTypes[type].create as (config: object) => Task)(config);
}
