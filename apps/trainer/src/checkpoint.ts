// Checkpoints of a run: everything that the next step depends on, in one safetensors file.
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { decodeSafetensors, encodeSafetensors, fromHost, toHost, type HostTensor } from '@mnemix/lm';
import { MnemixError, type TensorTree } from '@mnemix/tensor';
import type { Config } from './config.ts';
import { listIfThere, writeAtomically } from './files.ts';
import { checkConfig } from './resolve-config.ts';

/** Tells our files from other safetensors. */
const FORMAT = 'mnemix-training-1';

/** What is not a tensor. The data of step s are a function of (rng, s), so the step is the position in the data. */
export interface Position {
  /** Steps done. */
  readonly step: number;
  /** The random key that all data come from. */
  readonly rng: readonly [number, number];
  /** The step after which unseen data were predicted best, and the loss there. */
  readonly best?: { readonly step: number; readonly loss: number } | undefined;
  /** The accuracy to stop at has been reached. */
  readonly reached: boolean;
}

/** What a checkpoint holds of a run's tensors: `params` and the optimiser's `moments`. */
export type TrainingTree = { readonly params: TensorTree; readonly moments: TensorTree };

export interface Checkpoint {
  readonly path: string;
  readonly position: Position;
  readonly config: Config;
  readonly tensors: Readonly<Record<string, HostTensor>>;
}

/** Where the checkpoint of a step lies. */
export const checkpointPath = (folder: string, step: number): string =>
  join(folder, `step-${String(step).padStart(8, '0')}.safetensors`);

const stepOf = (path: string): number => Number(/\d+/.exec(basename(path))?.[0]);

/** Paths of a folder's checkpoints, oldest first. */
export async function listCheckpoints(folder: string): Promise<string[]> {
  return (await listIfThere(folder))
    .filter((name) => /^step-\d+\.safetensors$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

/** Writes a checkpoint, then drops those that are neither among the newest `keep` nor the best. */
export async function saveCheckpoint(
  folder: string,
  tree: TrainingTree,
  position: Position,
  config: Config,
): Promise<string> {
  const tensors = await toHost({ ...tree });
  const texts = { position: JSON.stringify(position), config: JSON.stringify(config) };
  const metadata = { format: FORMAT, ...texts, checksum: checksumOf(texts, tensors) };
  const path = checkpointPath(folder, position.step);
  await writeAtomically(path, encodeSafetensors({ tensors, metadata }));
  for (const old of (await listCheckpoints(folder)).slice(0, -config.output.keep)) {
    if (stepOf(old) !== position.best?.step) await rm(old);
  }
  return path;
}

/**
 * Reads a checkpoint file, without making tensors of it.
 *
 * @throws MnemixError `file` where it cannot be read; `checkpoint` where it is damaged or not of a run
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const bytes = await readFile(path).catch((cause: Error) => {
    throw new MnemixError({
      code: 'file',
      where: path,
      message: `it cannot be read (${cause.message}).`,
      fix: 'Check the path.',
      cause,
    });
  });
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const { format = 'not named', position = '', config = '', checksum } = metadata;
  if (format !== FORMAT) {
    throw new MnemixError({
      code: 'checkpoint',
      where: path,
      message: `it is not a checkpoint of a training run: its format is ${format} instead of ${FORMAT}.`,
      fix: 'Name a file from the checkpoints folder of a run.',
    });
  }
  if (checksum !== checksumOf({ position, config }, tensors)) {
    throw new MnemixError({
      code: 'checkpoint',
      where: path,
      message: 'its content does not have the checksum that it was saved with: damaged.',
      fix: 'Delete it, so that the run continues from the checkpoint before it.',
    });
  }
  return {
    path,
    tensors,
    position: JSON.parse(position) as Position,
    config: checkConfig(JSON.parse(config)),
  };
}

/** SHA-256 of all that matters: the format itself would not notice a changed digit or a changed weight. */
function checksumOf(
  { position, config }: { position: string; config: string },
  tensors: Readonly<Record<string, HostTensor>>,
): string {
  const hash = createHash('sha256').update(`${position}\n${config}\n`);
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    hash.update(`${name} ${shape.join('×')}\n`).update(data);
  }
  return hash.digest('hex');
}

/**
 * Tensors of a checkpoint in the form of `like`, e.g. `{ params }` alone or with the moments.
 *
 * @throws MnemixError `checkpoint` where it belongs to another model; nothing is made then
 */
export function restore<T extends Record<string, TensorTree>>({ path, tensors }: Checkpoint, like: T): T {
  const wanted = Object.entries(tensors).filter(([name]) => (name.split('.')[0] as string) in like);
  return fromHost(like, Object.fromEntries(wanted), path);
}
