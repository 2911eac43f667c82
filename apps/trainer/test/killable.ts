// A program that trains the bigram model in the folder that it is given; the tests kill it.
import { closeBackend } from '@mnemix/tensor';
import { kindOf } from '../src/files.ts';
import { runJob } from '../src/job.ts';
import { createRunFolder, readRunFolder } from '../src/run-folder.ts';
import { bigramConfig, buildBigram } from './bigram.ts';

const folder = process.argv[2] as string;
const config = bigramConfig({
  model: { memories: 2 },
  beside: { single: { model: { memories: 1, topK: 1 } } },
  training: { steps: 12, evalEvery: 5 },
  output: { logEvery: 1, saveEvery: 2, tensorboard: true },
});
if ((await kindOf(folder)) === 'nothing') await createRunFolder(folder, config);
process.exitCode = await runJob(folder, await readRunFolder(folder), {
  screen: process.stdout,
  build: buildBigram,
});
await closeBackend();
