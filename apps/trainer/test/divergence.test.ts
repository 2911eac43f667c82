import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fill, MnemixError, openBackend, tensor1d } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { listCheckpoints } from '../src/checkpoint.ts';
import type { Config } from '../src/config.ts';
import { offenderAmong, offenderAmongNorms } from '../src/divergence.ts';
import { inFolder } from '../src/run-folder.ts';
import { bigramConfig } from './bigram.ts';
import { temporaryFolder } from './folder.ts';
import { runBigram } from './run-bigram.ts';

beforeAll(async () => {
  await openBackend('wasm');
});

describe('a run whose loss is no longer finite', () => {
  it('stops with the step, the offending tensor and the last good checkpoint', async () => {
    const folder = join(temporaryFolder(), 'diverging');
    await runBigram(folder, bigramConfig({ optimizer: { schedule: 'constant' } }), 4);
    const path = inFolder(folder).config;
    const config = JSON.parse(readFileSync(path, 'utf8')) as Config;
    writeFileSync(
      path,
      JSON.stringify({ ...config, optimizer: { ...config.optimizer, learningRate: 1e38 } }),
    );

    const error = await runBigram(folder).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(MnemixError);
    const [good] = await listCheckpoints(inFolder(folder).checkpoints);
    expect(good).toContain('step-00000004');
    expect(error).toMatchObject({ code: 'diverged', where: expect.stringMatching(/^step [5-9]$/) as string });
    expect((error as MnemixError).message).toMatch(
      /the first tensor that is not finite is the (parameter|gradient of) [a-z_.]+ /,
    );
    expect((error as MnemixError).message).toContain(`The last good checkpoint is ${good}.`);
  });
});

describe('the offending tensor', () => {
  const good = () => fill([3], 1);
  const bad = () => tensor1d([1, NaN, 2]);

  it('is the first parameter that is not finite, by path', async () => {
    const found = await offenderAmong({ a: good(), layers: [{ w: bad() }, { w: bad() }] }, { a: bad() });
    expect(found).toBe('the parameter layers.0.w (element 1 is NaN)');
  });

  it('is a gradient where all parameters are finite', async () => {
    expect(await offenderAmong({ a: good() }, { a: tensor1d([Infinity]) })).toBe(
      'the gradient of a (element 0 is Infinity)',
    );
  });

  it('can be nobody', async () => {
    expect(await offenderAmong({ a: good() }, { a: good() })).toBeUndefined();
  });

  it('is found among norms too', async () => {
    const params = { a: good(), b: { c: good() } };
    expect(await offenderAmongNorms(params, tensor1d([1, NaN]))).toBe(
      'the gradient of b.c (its norm is NaN)',
    );
  });
});
