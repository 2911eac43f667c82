// A job trains one model or several beside each other, with one seed or several.
import { join } from 'node:path';
import type { Config, ModelChanges, ModelConfig } from './config.ts';

/**
 * The models of a job by name, the main one first: for each the configuration of a job that trains it alone.
 * What an entry of `beside` does not say is as in the main one.
 */
export function variantsOf(config: Config): Record<string, Config> {
  const alone: Config = { ...config, beside: {} };
  const beside = Object.entries(config.beside).map(([name, changes]): [string, Config] => [
    name,
    {
      ...alone,
      model: changedModel(config.model, changes.model ?? {}),
      optimizer: { ...config.optimizer, ...changes.optimizer },
      training: { ...config.training, ...changes.training },
      output: { ...config.output, ...changes.output },
    },
  ]);
  return { [mainName(config.model)]: alone, ...Object.fromEntries(beside) };
}

/** Another cell does not inherit the options of the first one. */
function changedModel(model: ModelConfig, changes: ModelChanges): ModelConfig {
  const { cell = model.cell } = changes;
  const inherited = cell === model.cell ? model : { ...model, cellOptions: {} };
  const bmojo = { ...model.bmojo, ...changes.bmojo };
  return {
    ...inherited,
    ...changes,
    attention: { ...model.attention, ...changes.attention },
    bmojo: { ...bmojo, fadingTokens: { ...model.bmojo.fadingTokens, ...changes.bmojo?.fadingTokens } },
  };
}

/** What the main model of a job is called: by what its blocks are, and `mom` or the cell where they are all memories. */
export function mainName(model: ModelConfig): string {
  const [kind, ...others] = new Set(blocksOf(model));
  if (others.length > 0) return 'hybrid';
  if (kind === 'attention') return 'attention';
  if (kind === 'bmojo') return model.bmojo.eidetic ? 'bmojo' : 'bmojo-f';
  return isRouted(model) ? 'mom' : model.cell;
}

export type BlockKind = ModelConfig['pattern'][number];

/** What each block mixes tokens with. */
export const blocksOf = ({ pattern, layers }: ModelConfig): BlockKind[] =>
  Array.from({ length: layers }, (_, layer) => pattern[layer % pattern.length] as BlockKind);

/** Whether memories are a Mixture-of-Memories; otherwise each is its cell alone. */
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
  const variants = Object.entries(variantsOf(config));
  const { seed: first, seeds } = config.training;
  const isSingle = variants.length * seeds === 1;
  return Array.from({ length: seeds }, (_, i) => first + i).flatMap((seed) =>
    variants.map(([model, variant]) => ({
      folder: isSingle ? folder : join(folder, `${model}-seed-${seed}`),
      config: { ...variant, training: { ...variant.training, seed, seeds: 1 } },
      label: isSingle ? '' : seeds > 1 ? `${model} seed ${seed}` : model,
      model,
      seed,
    })),
  );
}
