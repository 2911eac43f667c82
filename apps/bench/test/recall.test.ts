// `recall` as a program of its own: interrupted, damaged, resumed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../trainer/test/bundle.ts';
import { temporaryFolder } from '../../trainer/test/folder.ts';
import { readRecords } from '../src/sweep/store.ts';
import { tinySweep } from './tiny-sweep.ts';

let program: string;
beforeAll(async () => {
  program = await bundle(new URL('../src/cli.ts', import.meta.url));
});

/** A sweep of four jobs, which take a moment each, and where its results go. */
function prepared(sweep: object = {}): readonly [sweep: string, out: string] {
  const folder = temporaryFolder();
  const training = { ...tinySweep.training, steps: 40, evaluateEvery: 40 };
  writeFileSync(
    join(folder, 'sweep.json'),
    JSON.stringify({ ...tinySweep, backend: 'wasm', seeds: [1, 2, 3, 4], training, ...sweep }),
  );
  return [join(folder, 'sweep.json'), join(folder, 'results.jsonl')];
}

/** @param interruptAt sends Ctrl-C once stderr has this in it */
async function recall(args: readonly string[], interruptAt?: string) {
  const child = spawn(process.execPath, [program, 'recall', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr, isInterrupted] = ['', '', false];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (interruptAt === undefined || isInterrupted || !stderr.includes(interruptAt)) return;
    isInterrupted = true;
    child.kill('SIGINT');
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

describe('recall', () => {
  it('ends with the running jobs at Ctrl-C, says how to go on, and does', async () => {
    const [sweep, out] = prepared();
    const args = ['--sweep', sweep, '--out', out, '--jobs', '1'];
    const first = await recall(args, '(1/4');
    const early = await readRecords(out);
    expect(first.code).toBe(130);
    expect(first.stderr).toContain('The jobs that run are the last ones.');
    expect(first.stderr).toContain(`${4 - early.length} jobs are left: the same command goes on with them.`);
    expect(early.length).toBeLessThanOrEqual(2);

    const second = await recall(args);
    const records = await readRecords(out);
    expect(second.code).toBe(0);
    expect(second.stderr).toContain(`4 jobs, ${early.length} of them in ${out} already`);
    expect(records.map(({ job }) => job.seed)).toEqual([1, 2, 3, 4]);
    expect(records.slice(0, early.length)).toEqual(early);
  });

  it('repairs a torn last line, says so, and runs its job again', async () => {
    const [sweep, out] = prepared({ seeds: [1], backend: 'cpu', training: tinySweep.training });
    await recall(['--sweep', sweep, '--out', out]);
    const [record] = await readRecords(out);
    writeFileSync(out, '');
    appendFileSync(out, JSON.stringify(record).slice(0, 500));
    const { stderr } = await recall(['--sweep', sweep, '--out', out]);
    expect(stderr).toContain('the last line was cut off; its job counts as not run.');
    expect(await readRecords(out)).toHaveLength(1);
  });

  it('refuses a faulty sweep with all its faults before the first job', async () => {
    const [sweep, out] = prepared({ mixers: ['glad', 'window'], sizes: { odd: { width: 7, heads: 2 } } });
    const { code, stderr } = await recall(['--sweep', sweep, '--out', out]);
    expect(code).toBe(2);
    expect(stderr).toContain('error: mixers: glad: ');
    expect(stderr).toContain('error: mixers: window, size odd: ');
    await expect(readRecords(out)).rejects.toThrow('there is no such file');
  });

  it('lists the jobs and what they cost without running them', async () => {
    const [sweep, out] = prepared();
    const { code, stdout } = await recall(['--sweep', sweep, '--out', out, '--dry-run']);
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(5);
    expect(stdout).toContain('linear_attention · 4 · pairs · lr 0.005 · seed 3');
    expect(stdout).toContain('4 jobs, ');
  });

  it('wants exactly one sweep', async () => {
    expect(await recall([])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Use either --sweep'),
    });
  });
});
