// Models to use: from a run of this trainer, from one checkpoint of it, or from a checkpoint folder in fla's format.
import { join } from 'node:path';
import type { LanguageModel, LmParams } from '@mnemix/lm';
import { loadPretrained } from '@mnemix/lm/node';
import type { Tokenizer } from '@mnemix/tasks';
import { readTokenizer } from '@mnemix/tasks/node';
import { disposeTree, Rng } from '@mnemix/tensor';
import { checkpointPath, listCheckpoints, readCheckpoint, restore, type Checkpoint } from './checkpoint.ts';
import { UsageError } from './errors.ts';
import { kindOf, readIfThere } from './files.ts';
import { buildModel } from './model.ts';
import { planJob } from './plan-job.ts';
import { inFolder, readRunFolder } from './run-folder.ts';
import { tokenizerOf } from './task.ts';

/** Which checkpoint of a run: the one that predicted unseen data best, or the newest. */
export type Which = 'best' | 'last';

export interface Trained {
  readonly model: LanguageModel;
  readonly params: LmParams;
  /** Where the model is about text and the tokenizer is known. */
  readonly tokenizer: Tokenizer | undefined;
}

/**
 * @param path a run folder, a checkpoint file of one, or a folder with config.json and safetensors as fla saves it
 * @throws UsageError or MnemixError, naming the file
 */
export async function loadTrained(path: string, which: Which): Promise<Trained> {
  if (await isPretrained(path)) {
    const tokenizerPath = join(path, 'tokenizer.json');
    const tokenizer =
      (await kindOf(tokenizerPath)) === 'file' ? await readTokenizer(tokenizerPath) : undefined;
    return { ...(await loadPretrained(path)), tokenizer };
  }
  return loadCheckpoint(await findCheckpoint(path, which));
}

/** The model of a checkpoint, with its parameters. */
export async function loadCheckpoint(checkpoint: Checkpoint): Promise<Trained> {
  const { task, model: config } = checkpoint.config;
  const tokenizer = await tokenizerOf(task);
  const model = buildModel(
    config,
    task.kind === 'text' ? (tokenizer as Tokenizer).vocabSize : task.vocabSize,
  );
  const like = model.init(Rng.of(0));
  try {
    return { model, params: restore(checkpoint, { params: like }).params, tokenizer };
  } finally {
    disposeTree(like);
  }
}

/**
 * The checkpoint that a path stands for: the file itself, or one of a run folder.
 *
 * @throws UsageError where it is neither, or a job of several runs
 */
export async function findCheckpoint(path: string, which: Which): Promise<Checkpoint> {
  const kind = await kindOf(path);
  if (kind === 'file') return readCheckpoint(path);
  const fail = (message: string, fix: string): never => {
    throw new UsageError([{ where: path, message, fix }]);
  };
  if (kind === 'nothing') return fail('does not exist.', 'Name a run folder or one of its checkpoints.');
  const runs = planJob(path, await readRunFolder(path));
  if (runs.length > 1)
    return fail(`holds ${runs.length} runs.`, `Name one of ${runs.map(({ folder }) => folder).join(', ')}.`);
  const { checkpoints } = inFolder(path);
  const newest = (await listCheckpoints(checkpoints)).at(-1);
  if (newest === undefined) return fail('has no checkpoint yet.', `Train first: mnemix resume ${path}`);
  const last = await readCheckpoint(newest);
  const { best } = last.position;
  return which === 'last' || best === undefined
    ? last
    : readCheckpoint(checkpointPath(checkpoints, best.step));
}

/** A checkpoint folder in fla's format has a config.json too, but of another kind. */
async function isPretrained(path: string): Promise<boolean> {
  if ((await kindOf(path)) !== 'folder') return false;
  return (await readIfThere(join(path, 'config.json')))?.includes('"model_type"') ?? false;
}
