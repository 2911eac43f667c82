// The command line as a program of its own, with a real model, killed and resumed.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readModelFixture } from '@mnemix/testkit';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle, runProgram } from './bundle.ts';
import { temporaryFolder } from './folder.ts';
import { newestCheckpoint, timelessLog } from './run-bigram.ts';

const settings = {
  name: 'tiny',
  'task.tokens': 8,
  'task.pairs': 2,
  'task.vocabSize': 16,
  'model.width': 8,
  'model.keyWidth': 4,
  'model.valueWidth': 4,
  'training.batch': 4,
  'training.evalEvery': 5,
  'training.evalSequences': 8,
  'training.steps': 12,
  'optimizer.warmupSteps': 0,
  'output.saveEvery': 2,
  'output.logEvery': 1,
  beside: '{}',
};
const trainTo = (folder: string): string[] => [
  'train',
  '--backend',
  'wasm',
  '--out',
  folder,
  ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
];
const stepsIn = (stdout: string): number => stdout.match(/step +\d+\/12/g)?.length ?? 0;

let program: string;
let straight: string;

beforeAll(async () => {
  program = await bundle(new URL('../src/cli.ts', import.meta.url));
  straight = join(temporaryFolder(), 'straight');
  expect(await runProgram(program, trainTo(straight))).toMatchObject({ code: 0, stderr: '' });
});

describe('`mnemix`, training a Mixture-of-Memories', () => {
  it('killed with SIGKILL again and again is resumed, to the same end', async () => {
    const folder = join(temporaryFolder(), 'killed');
    let lives = 0;
    for (let ended = false; !ended; lives++) {
      const words = existsSync(folder) ? ['resume', folder] : trainTo(folder);
      const { code, stderr } = await runProgram(program, words, (stdout, child) => {
        if (stepsIn(stdout) >= 3 + 2 * lives) child.kill('SIGKILL');
      });
      expect(stderr).toBe('');
      ended = code === 0;
    }
    expect(lives).toBeGreaterThan(2);
    expect((await newestCheckpoint(folder)).equals(await newestCheckpoint(straight))).toBe(true);
    expect(await timelessLog(folder)).toEqual(await timelessLog(straight));
    expect(readdirSync(folder).sort()).toEqual(readdirSync(straight).sort());
  });

  it.skipIf(process.platform === 'win32')(
    'keeps a second process out of the run while it trains',
    async () => {
      const folder = join(temporaryFolder(), 'locked');
      let second: ReturnType<typeof runProgram> | undefined;
      const first = await runProgram(program, trainTo(folder), (stdout, child) => {
        if (second || stepsIn(stdout) < 1) return;
        child.kill('SIGSTOP');
        second = runProgram(program, ['resume', folder]);
        void second.then(() => child.kill('SIGCONT'));
      });
      const { code, stderr } = await (second as ReturnType<typeof runProgram>);
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: .*locked: process \d+ is writing to it\.\nfix: /);
      expect(first).toMatchObject({ code: 0, stderr: '' });
    },
  );
});

describe('`mnemix generate`', () => {
  it("continues the repository's copy of a checkpoint of fla's with the tokens that fla generates", async () => {
    const folder = fileURLToPath(new URL('../../../tools/testkit/fixtures/models/mom', import.meta.url));
    const { greedyPrompt, greedyTokens } = readModelFixture('mom').expected;
    const words = ['--prompt-ids', greedyPrompt.data.join(','), '--tokens', String(greedyTokens.data.length)];
    const { code, stdout, stderr } = await runProgram(program, ['generate', folder, ...words]);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: `${greedyTokens.data.join(',')}\n`,
      stderr: '',
    });
  });
});
