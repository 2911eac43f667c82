import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle, runProgram } from './bundle.ts';
import { temporaryFolder } from './folder.ts';
import { newestCheckpoint, timelessLog } from './run-bigram.ts';

const RUNS = ['mom-seed-1', 'single-seed-1'];
const stepsIn = (stdout: string): number => stdout.match(/step +\d+\/12/g)?.length ?? 0;

let program: string;
let straight: string;

beforeAll(async () => {
  program = await bundle(new URL('./killable.ts', import.meta.url));
  straight = join(temporaryFolder(), 'straight');
  await runProgram(program, [straight]);
}, 60_000);

async function expectSameEnd(folder: string): Promise<void> {
  for (const run of RUNS) {
    const [found, expected] = [join(folder, run), join(straight, run)];
    expect((await newestCheckpoint(found)).equals(await newestCheckpoint(expected)), run).toBe(true);
    expect(await timelessLog(found), run).toEqual(await timelessLog(expected));
    expect(readdirSync(found)).toEqual(expect.arrayContaining(['curves.svg', 'result.json']));
  }
}

describe('the trainer', () => {
  it('killed with SIGKILL again and again is always resumed, to the same end', async () => {
    const folder = join(temporaryFolder(), 'killed');
    let lives = 0;
    for (let ended = false; !ended; lives++) {
      const { code } = await runProgram(program, [folder], (stdout, child) => {
        if (stepsIn(stdout) >= 5 + lives) child.kill('SIGKILL');
      });
      ended = code === 0;
    }
    expect(lives).toBeGreaterThan(3);
    await expectSameEnd(folder);
  }, 60_000);

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    'on %s finishes its step, saves, says how to go on and leaves with %d',
    async (signal, exitCode) => {
      const folder = join(temporaryFolder(), 'interrupted');
      let sent = false;
      const { code, stdout, stderr } = await runProgram(program, [folder], (text, child) => {
        if (!sent && stepsIn(text) >= 3) sent = child.kill(signal);
      });
      expect({ code, stderr }).toEqual({ code: exitCode, stderr: '' });
      expect(stdout).toContain('Press Ctrl-C again to leave at once.');
      expect(stdout).toMatch(
        new RegExp(`Saved .*-seed-1.*\\.safetensors after step \\d+. Continue with: mnemix resume ${folder}`),
      );
    },
    60_000,
  );
});
