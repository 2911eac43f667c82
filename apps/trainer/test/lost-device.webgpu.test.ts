import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeOnWebgpu } from '@mnemix/testkit';
import { closeBackend, currentDevice, memory } from '@mnemix/tensor';
import { afterAll, expect, it } from 'vitest';
import type { Config } from '../src/config.ts';
import { runJob } from '../src/job.ts';
import type { Parts } from '../src/parts.ts';
import { createRunFolder, readRunFolder } from '../src/run-folder.ts';
import { bigramConfig, buildBigram } from './bigram.ts';
import { temporaryFolder } from './folder.ts';
import { newestCheckpoint, timelessLog } from './run-bigram.ts';

describeOnWebgpu('a training run', (backend) => {
  afterAll(closeBackend);

  async function run(name: string, build: (config: Config) => Promise<Parts>, trace?: string) {
    const folder = join(temporaryFolder(), name);
    await createRunFolder(folder, bigramConfig({ backend, training: { steps: 8, evalEvery: 4 } }));
    let printed = '';
    const screen = { write: (text: string) => void (printed += text) };
    const exitCode = await runJob(folder, await readRunFolder(folder), {
      screen,
      build,
      trace,
    });
    return { folder, exitCode, printed };
  }

  // A software adapter compiles every kernel twice for this.
  it('goes on from its last checkpoint on a fresh device when its own is lost, as if nothing had been', async () => {
    const trace = join(temporaryFolder(), 'trace.json');
    const straight = await run('straight', buildBigram, trace);
    const { traceEvents } = JSON.parse(readFileSync(trace, 'utf8')) as { traceEvents: { name: string }[] };
    expect(traceEvents.map(({ name }) => name)).toContain('BinaryOpProgram');
    expect(straight.printed).toContain(`trace       ${trace}`);
    let isWhole = true;
    const { folder, exitCode, printed } = await run('lost', async (config) => {
      const parts = await buildBigram(config);
      const learningRate = (step: number): number => {
        if (step === 5 && isWhole) {
          isWhole = false;
          currentDevice()?.destroy();
        }
        return parts.learningRate(step);
      };
      return { ...parts, learningRate };
    });
    expect(exitCode).toBe(0);
    expect(printed).toMatch(
      /warning {5}webgpu: the device was lost.* \(1 of at most 3\)\.\ncontinues after step 4\n/,
    );
    expect((await newestCheckpoint(folder)).equals(await newestCheckpoint(straight.folder))).toBe(true);
    expect(await timelessLog(folder)).toEqual(await timelessLog(straight.folder));
    expect(memory().numTensors).toBe(0);
  }, 480_000);
});
