// A job trains one model or several beside each other, with one seed or several.
import { join } from 'node:path';
import type { Config, ModelConfig } from './config.ts';

/** The models of a job by name: the main one first. */
export function modelsOf(config: Config): Record<string, ModelConfig> {
  const beside = Object.entries(config.beside).map(([name, changes]) => [
    name,
    { ...config.model, ...changes },
  ]);
  return { [mainName(config.model)]: config.model, ...Object.fromEntries(beside) };
}

/** What the main model of a job is called: `mom`, or the cell where there is nothing to route. */
export const mainName = (model: ModelConfig): string => (isRouted(model) ? 'mom' : model.cell);

/** Whether this is a Mixture-of-Memories; otherwise it is its cell alone. */
export const isRouted = ({ memories, shared }: ModelConfig): boolean => memories > 1 || shared;

/** One of a job's runs. */
export interface PlannedRun {
  readonly folder: string;
  readonly config: Config;
  /** Shown before every line of it. */
  readonly label: string;
  /** Name of the model within the job. */
  readonly model: string;
  readonly seed: number;
}

/**
 * The runs of a job, seed by seed. A job of one run is that run; the runs of a larger one have folders of their own
 * in it.
 */
export function planJob(folder: string, config: Config): PlannedRun[] {
  const models = Object.entries(modelsOf(config));
  const { seed: first, seeds } = config.training;
  if (models.length * seeds === 1) {
    return [{ folder, config, model: (models[0] as [string, unknown])[0], seed: first, label: '' }];
  }
  return Array.from({ length: seeds }, (_, i) => first + i).flatMap((seed) =>
    models.map(([name, model]) => {
      const label = seeds > 1 ? `${name} seed ${seed}` : name;
      const alone: Config = {
        ...config,
        model,
        beside: {},
        training: { ...config.training, seed, seeds: 1 },
      };
      return { folder: join(folder, `${name}-seed-${seed}`), config: alone, model: name, seed, label };
    }),
  );
}
