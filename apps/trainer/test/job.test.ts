import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBackend } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { runJob } from '../src/job.ts';
import { resultTable, type Result } from '../src/result.ts';
import { createRunFolder, inFolder, readRunFolder } from '../src/run-folder.ts';
import { bigramConfig, buildBigram } from './bigram.ts';
import { temporaryFolder } from './folder.ts';

const config = bigramConfig({
  model: { memories: 2 },
  beside: { single: { model: { memories: 1, topK: 1 }, optimizer: { learningRate: 0.05 } } },
  training: { steps: 6, seeds: 2, evalEvery: 3 },
});
const folder = join(temporaryFolder(), 'job');
const runs = ['mom-seed-1', 'mom-seed-2', 'single-seed-1', 'single-seed-2'];

async function run(): Promise<{ exitCode: number; printed: string }> {
  let printed = '';
  const screen = { write: (text: string) => void (printed += text) };
  return {
    exitCode: await runJob(folder, await readRunFolder(folder), { screen, build: buildBigram }),
    printed,
  };
}

describe('a job of two models and two seeds', () => {
  let first: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    await openBackend('wasm');
    await createRunFolder(folder, config);
    first = await run();
  });

  it('has a run folder for each of them, and the curves of all', () => {
    expect(first.exitCode).toBe(0);
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'curves.svg', ...runs].sort());
    for (const name of runs) {
      const parts = 'checkpoints config.json curves.svg device.json log.jsonl result.json tensorboard'.split(
        ' ',
      );
      expect(readdirSync(join(folder, name)).sort()).toEqual(parts);
    }
  });

  it('prints before each run what will be trained, and a table of the models in the end', () => {
    for (const label of ['mom seed 1', 'single seed 2'])
      expect(first.printed).toContain(`run         ${label}\n`);
    expect(first.printed).toMatch(/parameters +68, of which 68 take part/);
    expect(first.printed).toMatch(/\nmom +68 .* \(\S+ % to \S+ %\)/);
    expect(first.printed).toMatch(/\nsingle +68 /);
    expect(first.printed).toContain('single: each token uses 68 of 68 parameters, and reads and writes 0 of');
  });

  it('writes configurations that are whole, and name their schema', () => {
    const written = JSON.parse(readFileSync(inFolder(join(folder, 'single-seed-2')).config, 'utf8')) as {
      $schema: string;
    };
    expect(written).toMatchObject({
      model: { memories: 1 },
      optimizer: { learningRate: 0.05 },
      training: { seed: 2, seeds: 1 },
      beside: {},
    });
    expect(existsSync(join(folder, 'single-seed-2', written.$schema))).toBe(true);
  });

  it('does only what is missing when it is resumed', async () => {
    const kept = inFolder(join(folder, 'mom-seed-1')).log;
    const before = statSync(kept).mtimeMs;
    rmSync(join(folder, 'single-seed-2'), { recursive: true });
    const second = await run();
    expect(second.exitCode).toBe(0);
    expect(second.printed).toContain('run         single seed 2\n');
    expect(second.printed).not.toContain('run         mom seed 1\n');
    expect(statSync(kept).mtimeMs).toBe(before);
    expect(existsSync(join(folder, 'single-seed-2', 'result.json'))).toBe(true);
  });
});

describe('a run that goes on with another device', () => {
  it('says so, and writes down what it computes with now', async () => {
    const { device, result } = inFolder(join(folder, 'mom-seed-1'));
    const now = readFileSync(device, 'utf8');
    expect(JSON.parse(now)).toEqual({ name: 'cpu', threads: 1, description: 'cpu (1 thread)' });
    writeFileSync(
      device,
      JSON.stringify({ name: 'wasm', threads: 2, description: 'wasm (SIMD, 2 threads)' }),
    );
    rmSync(result);
    const { printed } = await run();
    expect(printed).toMatch(
      /warning +this run has computed with wasm \(SIMD, 2 threads\) so far, .* cpu \(1 thread\)/,
    );
    expect(readFileSync(device, 'utf8')).toBe(now);
    rmSync(result);
    expect((await run()).printed).not.toContain('warning');
  });
});

describe('the table of results', () => {
  const result = (changes: Partial<Result>): Result => ({
    model: 'mom',
    seed: 1,
    ended: 'target',
    steps: 400,
    tokens: 1e6,
    seconds: 100,
    total: 12_300,
    activated: 9800,
    stateBytes: 4608,
    activatedStateBytes: 2304,
    unseen: { loss: 0.1, accuracy: 0.992 },
    ...changes,
  });

  it('has one row a model', () => {
    const rows = resultTable([result({}), result({ model: 'single', ended: 'steps' })], 0.99).split('\n');
    expect(rows[0]).toMatch(
      /^model +parameters +activated +state +activated state +unseen accuracy +steps to 99\.0 % +tokens\/s +time$/,
    );
    expect(rows[1]).toMatch(/^mom +12\.3k +9\.80k +4\.5 KiB +2\.3 KiB +99\.2 % +400 +10\.0k +1m40s$/);
    expect(rows[2]).toMatch(/^single .* not within 400 /);
  });

  it('gives mean, smallest and largest over seeds, and says how many got to the target', () => {
    const three = [
      result({ steps: 300 }),
      result({ steps: 500 }),
      result({ steps: 900, ended: 'steps', unseen: { loss: 1, accuracy: 0.5 } }),
    ];
    const [, row] = resultTable(three, 0.99).split('\n');
    expect(row).toContain('82.8 % (50.0 % to 99.2 %)');
    expect(row).toContain('400 (300 to 500), 2 of 3 seeds');
  });

  it('has no column for a target that there is not', () => {
    expect(resultTable([result({})], undefined)).not.toContain('steps to');
  });
});
