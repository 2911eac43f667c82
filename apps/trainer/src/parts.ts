// What a training run is made of, built from its configuration.
import type { LanguageModel } from '@mnemix/lm';
import { adamW, schedule, type AdamW } from '@mnemix/optim';
import type { Task } from '@mnemix/tasks';
import { openBackend, type BackendReport } from '@mnemix/tensor';
import type { Config } from './config.ts';
import { buildModel } from './model.ts';
import { buildTask } from './task.ts';

/** What training needs of a model. */
export type TrainableModel = Pick<LanguageModel, 'init' | 'loss' | 'parameterCount' | 'stateBytes'>;

export interface Parts {
  readonly task: Task;
  readonly model: TrainableModel;
  readonly optimizer: AdamW;
  /** The learning rate of a step, counted from 0. */
  readonly learningRate: (step: number) => number;
}

/** Opens the backend that the configuration asks for. Its threads are the backend's own choice where none are given. */
export const openDevice = ({
  backend,
  threads,
}: Pick<Config, 'backend'> & { threads?: number }): Promise<BackendReport> =>
  openBackend(backend, threads === undefined ? {} : { threads });

/** @throws MnemixError before anything was written, where sizes do not fit or a file cannot be used */
export async function buildParts(config: Config): Promise<Parts> {
  const { learningRate, schedule: kind, warmupSteps, finalRatio, clipNorm, ...settings } = config.optimizer;
  const task = await buildTask(config.task);
  return {
    task,
    model: buildModel(config.model, task.vocabSize),
    optimizer: adamW({ ...settings, ...(clipNorm !== null && { clipNorm }) }),
    learningRate: schedule({ kind, learningRate, warmupSteps, finalRatio, steps: config.training.steps }),
  };
}
