// Runs of the bigram model, and what they leave behind.
import { readFileSync } from 'node:fs';
import { listCheckpoints } from '../src/checkpoint.ts';
import type { Config } from '../src/config.ts';
import { kindOf } from '../src/files.ts';
import { isEvaluation, readLog, type StepEntry } from '../src/log.ts';
import { createRunFolder, inFolder, readRunFolder } from '../src/run-folder.ts';
import { train, type TrainingEnd } from '../src/train.ts';
import { bigramConfig, buildBigram } from './bigram.ts';

/** Starts a run, or continues the one that is there. `stopAfter` interrupts it as Ctrl-C does. */
export async function runBigram(
  folder: string,
  config: Config = bigramConfig(),
  stopAfter = Infinity,
): Promise<TrainingEnd> {
  if ((await kindOf(folder)) === 'nothing') await createRunFolder(folder, config);
  const opened = await readRunFolder(folder);
  let stepsHere = 0;
  const progress = { step: () => void stepsHere++, note: () => {} };
  const interrupt = {
    get requested() {
      return stepsHere >= stopAfter ? ('SIGINT' as const) : undefined;
    },
  };
  return train({ folder, config: opened, label: '' }, await buildBigram(opened), { progress, interrupt });
}

/** The bytes of the newest checkpoint. */
export async function newestCheckpoint(folder: string): Promise<Buffer> {
  return readFileSync((await listCheckpoints(inFolder(folder).checkpoints)).at(-1) as string);
}

/** The log without the times, which are never the same. */
export async function timelessLog(folder: string): Promise<object[]> {
  const entries = await readLog(inFolder(folder).log);
  return entries.map((entry) =>
    isEvaluation(entry) ? entry : ({ ...entry, seconds: undefined } as Partial<StepEntry>),
  );
}
